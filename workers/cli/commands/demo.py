"""`mastery demo`: a simulated class, from answers to a report, in one process."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    file: Annotated[
        Path | None, typer.Option("--from", help="A CSV of real responses instead of a class.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where to write the report.")] = Path(
        "mastery-report.html"
    ),
    students: Annotated[int, typer.Option(min=1, max=10_000, help="Size of the class.")] = 200,
    answers: Annotated[int, typer.Option(min=1, max=10_000, help="Answers per student.")] = 100,
) -> None:
    """Run a simulated class through the engine on embedded servers, and write a report."""
    from workers.cli.demo import run_demo

    run_demo(file, report, students=students, answers=answers)
