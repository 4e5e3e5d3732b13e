"""`mastery replay FILE`: publishes and processes a CSV of responses."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.cli.commands.options import (
    ConceptColumn,
    CorrectColumn,
    ItemColumn,
    OrderColumn,
    Separator,
    StudentColumn,
    Tenant,
    TimeColumn,
)


def replay(
    file: Annotated[Path, typer.Argument(help="A CSV of responses, plain or .gz.")],
    student: StudentColumn = "student",
    item: ItemColumn = "item",
    concept: ConceptColumn = "concept",
    correct: CorrectColumn = "correct",
    order: OrderColumn = "order",
    time_column: TimeColumn = None,
    separator: Separator = "~~",
    tenant: Tenant = DEFAULT_TENANT,
    speed: Annotated[
        float | None,
        typer.Option(min=0.001, help="Multiple of the original pace; all at once if not given."),
    ] = None,
) -> None:
    """Publish a CSV of responses with a delegated role, and process them."""
    from workers.cli.replay import run_replay
    from workers.importing.csv_responses import Columns

    columns = Columns(student, item, concept, correct, order, time_column)
    run_replay(file, columns, separator=separator, tenant=tenant, speed=speed)
