"""Cross-validate models on a CSV of responses."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import typer
from rich.console import Console
from rich.table import Table

from workers.cli.mastery_table import mastery_table
from workers.cli.progress import progress_bar
from workers.common.errors import InputFileError
from workers.importing.csv_responses import Columns, CsvResponses
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.ceilings import ceiling_warning, lowest_of
from workers.modelling.calibration.fitting import IN_STEPS, MODELS, fit_table
from workers.modelling.calibration.merging import tallies_of
from workers.modelling.calibration_run.processes import available_cores
from workers.modelling.evaluation.page.report import render_evaluation
from workers.modelling.evaluation.page.report_data import Evaluation, best
from workers.modelling.evaluation.protocol import FOLDS, Predictions
from workers.modelling.evaluation.protocol import evaluate_all as run
from workers.modelling.evaluation.reading import answers_of_rows
from workers.reports.wording import decimal


def evaluate_file(
    file: Path,
    columns: Columns,
    separator: str,
    *,
    models: Sequence[str],
    processes: int | None,
    json: bool,
    report: Path | None,
) -> None:
    """Predict every answer of a CSV by models fitted to other learners, and print measures.

    Args:
        file: plain or .gz.
        columns: the names of its columns.
        separator: separates the concepts within a cell.
        models: names of models; empty for all that suit the scores.
        processes: number of processes; None for one per core.
        json: print JSON instead of tables.
        report: also write a page to this file.

    Raises:
        InputFileError: the file is not a CSV of responses, or has too few students.
    """
    rows = CsvResponses(
        file,
        columns,
        separator=separator,
        latest=datetime.now(UTC),
    )
    answers = answers_of_rows(rows)
    if answers.learners < FOLDS:
        raise InputFileError(
            f"{file}: it has {answers.learners} students, but cross-validation needs {FOLDS} or "
            "more: models are fitted to four fifths and predict the rest"
        )
    evaluated = _run(_chosen(models, answers), answers, processes or available_cores())
    if json:
        document = {name: predictions.document() for name, predictions in evaluated.items()}
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        Console().print(_table(file, evaluated))
        Console().print(
            mastery_table(
                (model, predictions.validity, lowest_of(predictions.ceilings))
                for model, predictions in evaluated.items()
            )
        )
        warn_of_ceilings(evaluated)
    if report is not None:
        report.write_text(_page(file, answers, evaluated), encoding="utf-8")
        typer.echo(f"The page with the curves: {report.resolve()}", err=True)


def _chosen(models: Sequence[str], answers: Answers) -> list[str]:
    if models:
        return list(dict.fromkeys(models))
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
            tallies_of(answers.table(0)),
        )
    )


def _table(file: Path, evaluated: dict[str, Predictions]) -> Table:
    table = Table(title=f"{file.name}: each answer predicted one step ahead", title_justify="left")
    table.add_column("model")
    for name in ("AUC", "RMSE", "ECE", "log loss", "responses"):
        table.add_column(name, justify="right")
    for model, predictions in evaluated.items():
        measures = predictions.measures()
        table.add_row(
            model,
            # AUC is undefined if all answers are alike.
            *(decimal(measures[name], 4) for name in ("auc", "rmse", "ece", "log_loss")),
            f"{measures['responses']:,}",
        )
    return table


def warn_of_ceilings(evaluated: dict[str, Predictions]) -> None:
    """Print a line for each model that limits the mastery of a concept."""
    for model, predictions in evaluated.items():
        warning = ceiling_warning(predictions.ceilings)
        if warning is not None:
            typer.echo(f"{model}: {warning}")
