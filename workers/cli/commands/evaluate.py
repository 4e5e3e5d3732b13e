"""`mastery evaluate`: scores predictions, of models on a CSV or of the ledger."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.choices import MODELS, PARTIAL_CREDIT_MODELS
from workers.cli.commands.options import (
    ConceptColumn,
    CorrectColumn,
    ItemColumn,
    OrderColumn,
    Separator,
    StudentColumn,
    TimeColumn,
    since_option,
)
from workers.cli.output import require_writable
from workers.operations.reconciliation.since import Since


def evaluate(
    file: Annotated[
        Path | None, typer.Argument(help="A CSV of responses, plain or .gz; omit it with --live.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=f"One of {', '.join(MODELS)}; repeatable. All if not given; "
            f"{' and '.join(PARTIAL_CREDIT_MODELS)} only if some scores are partial."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page with curves and the best model's parameters to this file.",
            dir_okay=False,
            writable=True,
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Evaluate the predictions stored in the ledger.")
    ] = False,
    tenant: Annotated[
        str | None, typer.Option(help="With --live: only this tenant; all if not given.")
    ] = None,
    since: Annotated[
        Since | None,
        since_option(
            "With --live: only responses recorded at this time or later, by the database's "
            "clock: ISO 8601 with a zone, or an age such as 2h."
        ),
    ] = None,
    student: StudentColumn = "student",
    item: ItemColumn = "item",
    concept: ConceptColumn = "concept",
    correct: CorrectColumn = "correct",
    order: OrderColumn = "order",
    time_column: TimeColumn = None,
    separator: Separator = "~~",
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Folds evaluated at the same time; one per core if not given."),
    ] = None,
) -> None:
    """Cross-validate models on a CSV: fit on some learners, predict every answer of the others."""
    require_writable(report, "--report")
    if live:
        if file is not None or model:
            raise typer.BadParameter(
                "it evaluates stored predictions: give no FILE and no --model", param_hint="--live"
            )
        from workers.cli.evaluate.live import evaluate_live

        evaluate_live(tenant, since, json=json, report=report)
        return
    if file is None:
        raise typer.BadParameter("name a CSV of responses, or give --live", param_hint="FILE")
    if tenant is not None or since is not None:
        raise typer.BadParameter("--tenant and --since go with --live")
    for name in model or ():
        if name not in MODELS:
            raise typer.BadParameter(
                f"{name!r} is unknown; choose from {', '.join(MODELS)}", param_hint="--model"
            )
    from workers.cli.evaluate.offline import evaluate_file
    from workers.importing.csv_responses import Columns

    columns = Columns(student, item, concept, correct, order, time_column)
    evaluate_file(
        file, columns, separator, models=model or (), processes=processes, json=json, report=report
    )
