"""`mastery evaluate FILE`: how well each model predicts a CSV of responses.

With `--live` it is how well the predictions that are stored came true: `evaluate_live`.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from workers.cli.evaluate.live import evaluate_live
from workers.cli.mastery_table import mastery_table
from workers.cli.progress import progress_bar
from workers.common.errors import InputFileError
from workers.importing.csv_responses import Columns, CsvResponses
from workers.modelling.calibration.answers import Answers, answers_of
from workers.modelling.calibration.ceilings import ceiling_warning, lowest_of
from workers.modelling.calibration.fitting import IN_STEPS, MODELS, fit_table
from workers.modelling.calibration.merging import tallies_of
from workers.modelling.calibration_run.processes import available_cores
from workers.modelling.evaluation.page.report import render_evaluation
from workers.modelling.evaluation.page.report_data import Evaluation, best
from workers.modelling.evaluation.protocol import FOLDS, Predictions
from workers.modelling.evaluation.protocol import evaluate_all as run
from workers.modelling.evaluation.reading import logs_of
from workers.operations.reconciliation.since import Since
from workers.reports.wording import decimal


def _since(text: str) -> Since:
    try:
        return Since.of_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _check_report(report: Path | None) -> None:
    """Refuse a page that can't be written before there is anything to write."""
    if report is not None and not report.parent.is_dir():
        raise typer.BadParameter(
            f"{report.parent} is no directory; make it or name another", param_hint="--report"
        )


def evaluate(  # noqa: PLR0917  # typer reads the parameters by name
    file: Annotated[
        Path | None, typer.Argument(help="A CSV of responses, plain or .gz; none with --live.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Of {', '.join(MODELS)}; repeat it for several. All, if not given; "
            f"{' and '.join(sorted(IN_STEPS))} only where some scores are partial."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page of curves and of the best model's parameters here.",
            dir_okay=False,
            writable=True,
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Judge the predictions that the ledger has stored.")
    ] = False,
    tenant: Annotated[
        str | None, typer.Option(help="With --live: only learners of this tenant.")
    ] = None,
    since: Annotated[
        Since | None,
        typer.Option(
            parser=_since,
            metavar="TIME",
            help="With --live: only what was recorded then or later, by the database's clock: ISO "
            "8601 with a zone, or an age such as 2h.",
        ),
    ] = None,
    student: Annotated[str, typer.Option(help="Column of the student.")] = "student",
    item: Annotated[str, typer.Option(help="Column of the item.")] = "item",
    concept: Annotated[str, typer.Option(help="Column of the concept or concepts.")] = "concept",
    correct: Annotated[str, typer.Option(help="Column of 0/1 or of a score.")] = "correct",
    order: Annotated[
        str, typer.Option(help="Column of the place in the student's order.")
    ] = "order",
    time_column: Annotated[
        str | None, typer.Option("--time", help="Column of the time; then order is not read.")
    ] = None,
    separator: Annotated[str, typer.Option(help="Between the concepts of one cell.")] = "~~",
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many folds are worked on at a time. All cores, if not given."
        ),
    ] = None,
) -> None:
    """Cross-validate models on a CSV: fit on some learners, predict the others' every answer."""
    _check_report(report)
    if live:
        if file is not None or model:
            raise typer.BadParameter(
                "it judges what is stored: give no FILE and no --model", param_hint="--live"
            )
        evaluate_live(tenant, since, json=json, report=report)
        return
    if file is None:
        raise typer.BadParameter("name a CSV of responses, or give --live", param_hint="FILE")
    if tenant is not None or since is not None:
        raise typer.BadParameter("--tenant and --since go with --live")
    for name in model or ():
        if name not in MODELS:
            raise typer.BadParameter(
                f"{name!r} is none; choose from {', '.join(MODELS)}", param_hint="--model"
            )
    rows = CsvResponses(
        file,
        Columns(student, item, concept, correct, order, time_column),
        separator=separator,
        latest=datetime.now(UTC),
    )
    answers = answers_of(logs_of(rows).values())
    if answers.learners < FOLDS:
        raise InputFileError(
            f"{file}: it has {answers.learners} students, and {FOLDS} or more are needed: each "
            "fifth is predicted by what the others taught"
        )
    found = _run(_chosen(model, answers), answers, processes or available_cores())
    if json:
        document = {name: predictions.document() for name, predictions in found.items()}
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        Console().print(_table(file, found))
        Console().print(
            mastery_table(
                (model, of.validity, lowest_of(of.ceilings)) for model, of in found.items()
            )
        )
        warn_of_ceilings(found)
    if report is not None:
        report.write_text(_page(file, answers, found), encoding="utf-8")
        typer.echo(f"The page with its curves: {report.resolve()}", err=True)


def _chosen(model: list[str] | None, answers: Answers) -> list[str]:
    if model:
        return list(dict.fromkeys(model))
    partial = bool(((answers.score > 0.0) & (answers.score < 1.0)).any())
    return [name for name in MODELS if partial or name not in IN_STEPS]


def _run(chosen: list[str], answers: Answers, processes: int) -> dict[str, Predictions]:
    with progress_bar() as bar:
        tasks = {name: bar.add_task(name, total=answers.score.size) for name in chosen}
        return run(
            chosen,
            answers,
            lambda name, done: bar.update(tasks[name], advance=done),
            processes,
        )


def _page(file: Path, answers: Answers, predictions: dict[str, Predictions]) -> str:
    chosen = best(predictions)
    return render_evaluation(
        Evaluation(
            file.name,
            datetime.now(UTC),
            predictions,
            chosen,
            fit_table(chosen, answers.table(0)),
            tallies_of(answers, 0),
        )
    )


def _table(file: Path, found: dict[str, Predictions]) -> Table:
    table = Table(title=f"{file.name}: each answer predicted one step ahead", title_justify="left")
    table.add_column("model")
    for name in ("AUC", "RMSE", "ECE", "log loss", "responses"):
        table.add_column(name, justify="right")
    for model, predictions in found.items():
        of = predictions.measures()
        table.add_row(
            model,
            # AUC is not defined where all answers are alike.
            *(decimal(of[name], 4) for name in ("auc", "rmse", "ece", "log_loss")),
            f"{of['responses']:,}",
        )
    return table


def warn_of_ceilings(found: dict[str, Predictions]) -> None:
    """Print a line for each model that keeps a concept's mastery low."""
    for model, of in found.items():
        warning = ceiling_warning(of.ceilings)
        if warning is not None:
            typer.echo(f"{model}: {warning}")
