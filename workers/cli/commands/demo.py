"""`mastery demo`: a simulated class, from answers to a report, in one process."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.commands.options import (
    ConceptColumn,
    CorrectColumn,
    ItemColumn,
    OrderColumn,
    Separator,
    StudentColumn,
    TimeColumn,
)
from workers.cli.output import require_writable


def demo(
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A CSV of real responses instead of a class."),
    ] = None,
    report: Annotated[Path, typer.Option(help="Where to write the report.")] = Path(
        "mastery-report.html"
    ),
    students: Annotated[int, typer.Option(min=1, max=10_000, help="Size of the class.")] = 200,
    answers: Annotated[int, typer.Option(min=1, max=10_000, help="Answers per student.")] = 100,
    student: StudentColumn = "student",
    item: ItemColumn = "item",
    concept: ConceptColumn = "concept",
    correct: CorrectColumn = "correct",
    order: OrderColumn = "order",
    time_column: TimeColumn = None,
    separator: Separator = "~~",
) -> None:
    """Run a simulated class through the engine on embedded servers, and write a report."""
    require_writable(report, "--report")
    from workers.cli.demo import run_demo
    from workers.importing.csv_responses import Columns

    columns = Columns(student, item, concept, correct, order, time_column)
    run_demo(file, columns, report, separator=separator, students=students, answers=answers)
