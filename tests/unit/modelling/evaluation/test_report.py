"""The page of an evaluation: all models side by side, and the parameters of the best."""

import re
from datetime import UTC, datetime
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.examples import THOROUGH
from tests.support.fits import FitOnce, evaluate_with
from tests.support.pages import EVIL, check_escaped, check_figures, check_page
from tests.support.simulated_learners import simulated
from tests.unit.modelling.evaluation.test_protocol import ALONE, a_file
from workers.cli.evaluate.offline import warn_of_ceilings
from workers.cli.main import app
from workers.estimation.learner import Response
from workers.estimation.metrics import auc, ece
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.modelling.calibration.answers import answers_of
from workers.modelling.calibration.degenerate import degenerate
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.fitting import MODELS, fit
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.merging import tallies_of
from workers.modelling.calibration.tallies import Tallies, Tally
from workers.modelling.evaluation.histories import by_history
from workers.modelling.evaluation.page.figures import learning_of_all, styles_of
from workers.modelling.evaluation.page.mastery_rows import mastery_cells
from workers.modelling.evaluation.page.report import render_evaluation
from workers.modelling.evaluation.page.report_data import Evaluation, best
from workers.modelling.evaluation.protocol import Predictions, evaluate
from workers.modelling.judging.validity import MasteryTrace

# Every process would make again what the tests share.
pytestmark = pytest.mark.xdist_group("evaluation report")

LOGS: dict[str, list[Response]] = {
    f"s{n}": log for n, log in enumerate(simulated(25, 3, concepts=3, most=24 if THOROUGH else 12))
}


def predictions(probability: list[float], score: list[float], **columns: Any) -> Predictions:
    size = len(score)
    whole: dict[str, Any] = {
        "concept": ["c"] * size,
        "attempt": np.ones(size, dtype=np.int64),
        "history": np.zeros(size, dtype=np.int64),
        "trace": MasteryTrace(np.arange(size), np.zeros(size), np.array(score)),
        "concepts": ["c"],
        "fitted": [Fitted(Parameters())],
    }
    return Predictions(np.array(score), np.array(probability), **{**whole, **columns})


FIT = FitOnce()


@cache
def evaluated(model: str) -> Predictions:
    with pytest.MonkeyPatch.context() as monkeypatch:
        evaluate_with(monkeypatch, FIT)
        return evaluate(model, LOGS, lambda _: None)


@cache
def fitted_on_all(model: str) -> Fitted:
    with pytest.MonkeyPatch.context() as monkeypatch:
        evaluate_with(monkeypatch, FIT)
        return FIT(model, table_of(LOGS.values())[0])


def evaluation(chosen: str, **fields: Any) -> Evaluation:
    whole: dict[str, Any] = {
        "source": "a.csv",
        "generated_at": datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
        "predictions": {name: evaluated(name) for name in dict.fromkeys(("bkt", chosen))},
        "chosen": chosen,
        "fitted": fitted_on_all(chosen),
        "tallies": tallies_of(answers_of(LOGS.values()).table(0)),
    }
    return Evaluation(**{**whole, **fields})


def cells(html: str, head: str) -> list[str]:
    """The other cells of the row with this head."""
    row = re.search(rf'<th scope="row">{re.escape(head)}</th>(.*?)</tr>', html)
    assert row is not None, head
    return [unescape(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", row.group(1))]


@pytest.mark.parametrize("chosen", MODELS)
def test_given_a_model_when_rendered_then_a_whole_page_that_loads_nothing(chosen: str) -> None:
    data = evaluation(chosen)
    html = render_evaluation(data)
    check_page(html)
    check_figures(html, 8)
    for name, of in data.predictions.items():
        measures = of.measures()
        assert cells(html, name)[:4] == [
            f"{measures[measure]:.4f}" for measure in ("auc", "rmse", "ece", "log_loss")
        ]
        assert f"Calibration of {name}" in html
        worth = html[html.index("<h2>Validity of mastery</h2>") :]
        assert cells(worth, name) == mastery_cells(of.validity, min(of.ceilings.values()))
    assert ("<h2>Item parameters</h2>" in html) == bool(data.fitted.parameters.items)


def test_given_fitted_concepts_when_rendered_then_a_row_has_their_numbers() -> None:
    data = evaluation("bkt")
    html = render_evaluation(data)
    responses = [
        response for log in LOGS.values() for response in log if response.concept_ids == ("c1",)
    ]
    own = data.fitted.parameters.concepts["c1"].mastery
    assert isinstance(own, BktParameters)
    assert cells(html, "c1") == [
        f"{len(responses)}",
        f"{np.mean([response.score for response in responses]):.0%}",
        *(f"{value:.3f}" for value in (own.prior, own.learn, own.guess, own.slip, own.forget)),
    ]


def test_given_fitted_items_when_rendered_then_the_extreme_ones_are_named() -> None:
    data = evaluation("irt")
    html = render_evaluation(data)
    items = data.fitted.parameters.items
    by_difficulty = sorted(items, key=lambda name: items[name].difficulty)
    by_discrimination = sorted(items, key=lambda name: items[name].discrimination)
    for label, names in (
        ("Highest difficulty", by_difficulty[:-6:-1]),
        ("Lowest difficulty", by_difficulty[:5]),
        ("Highest discrimination", by_discrimination[:-6:-1]),
        ("Lowest discrimination", by_discrimination[:5]),
    ):
        part = html[html.index(f"<h3>{label}</h3>") :].partition("</table>")[0]
        assert re.findall(r'<th scope="row">(.*?)</th>', part) == names
    assert "<h3>Highest guess</h3>" in render_evaluation(evaluation("kt-idem"))


@pytest.mark.parametrize(
    ("chosen", "labels"),
    [
        ("bkt", ["Prior", "Learn", "Guess", "Slip"]),
        ("irt", ["Prior", "Learn", "Guess", "Slip", "Mean difficulty", "Spread"]),
        ("bkt-irt", ["Prior", "Learn", "Guess", "Slip", "Mean difficulty", "Spread"]),
        ("classical", []),
    ],
)
def test_given_a_model_then_the_parameters_of_its_concepts_are_drawn(
    chosen: str, labels: list[str]
) -> None:
    html = render_evaluation(evaluation(chosen))
    part = html[html.index("<h2>Concept parameters</h2>") :].partition("</section>")[0]
    assert re.findall(r"<figure><h3>(.*?)</h3>", part) == labels
    assert len(re.findall(r"<desc [^>]*>3 concepts; mean", part)) == len(labels)


def test_given_all_models_then_each_has_a_style_and_a_name_at_its_line() -> None:
    told = evaluated("bkt")
    names = [*MODELS, "another", "and one more"]
    html = render_evaluation(evaluation("bkt", predictions=dict.fromkeys(names, told)))
    check_page(html)
    styles = styles_of(names)
    assert len(set(styles.values())) == len(names)
    assert styles_of(["bkt"])["bkt"] == styles["bkt"]
    style = html.partition("<style>")[2].partition("</style>")[0]
    for name, of in styles.items():
        assert f'class="{of.line}"' in html
        assert html.count(f">{name}</text>") == 4
        for part in of.line.split()[1:2] + of.dot.split()[1:3]:
            assert f".{part} {{" in style


def test_given_nothing_fitted_when_rendered_then_it_says_so() -> None:
    assert "Nothing is fitted" in render_evaluation(evaluation("classical"))


def test_given_ids_with_markup_when_rendered_then_they_are_text() -> None:
    logs = {
        n: [
            Response(
                response.response_id,
                None,
                EVIL,
                (EVIL,),
                "default",
                response.score,
                response.answered_at_us,
            )
            for response in log
        ]
        for n, log in LOGS.items()
    }
    html = render_evaluation(
        evaluation(
            "kt-idem",
            source=EVIL,
            predictions={"kt-idem": evaluate("kt-idem", logs, lambda _: None)},
            fitted=fit("kt-idem", logs.values()),
            tallies=tallies_of(answers_of(logs.values()).table(0)),
        )
    )
    check_escaped(html, 6)


def test_given_few_answers_all_right_when_rendered_then_the_page_stands() -> None:
    told = predictions([0.5] * 4, [1.0] * 4)
    html = render_evaluation(evaluation("bkt", predictions={"bkt": told}))
    check_page(html)
    assert "By number of earlier answers" not in html
    alike = predictions([0.5] * 60, [1.0] * 60)
    html = render_evaluation(evaluation("bkt", predictions={"bkt": alike}))
    check_page(html)
    assert "bkt: 0 \N{EN DASH}." in html


def test_given_histories_when_grouped_then_each_group_is_measured_alone() -> None:
    draw = np.random.default_rng(4)
    history = np.repeat([0, 1, 2, 3, 150], [60, 30, 30, 49, 70])
    probability = draw.random(history.size)
    score = (draw.random(history.size) < probability).astype(float)
    groups = by_history(predictions(probability.tolist(), score.tolist(), history=history))
    assert [(group.label, group.answers) for group in groups] == [
        ("0", 60),
        ("1\N{EN DASH}2", 60),
        ("101+", 70),
    ]
    chosen = (history == 1) | (history == 2)
    assert groups[1].auc == auc(score[chosen], probability[chosen])
    assert groups[1].ece == ece(score[chosen], probability[chosen])


def test_given_attempts_left_out_when_drawn_then_dots_keep_their_numbers() -> None:
    attempt = np.repeat([1, 2, 3], [40, 5, 40])
    probability = np.repeat([0.25, 0.5, 0.75], [40, 5, 40])
    told = predictions(probability.tolist(), [0.0, 1.0] * 42 + [0.0], attempt=attempt)
    plot = learning_of_all("learning", {"bkt": told})
    assert [mark.hint for mark in plot.marks if mark.hint] == [
        "attempt 1: 50% of 40 answers right; predicted: bkt 25%",
        "attempt 3: 50% of 40 answers right; predicted: bkt 75%",
    ]


def test_given_models_when_the_best_is_asked_then_log_loss_decides() -> None:
    # "bold" ranks perfectly and is far too sure once.
    score = [1.0, 1.0, 0.0, 0.0]
    sober, bold = [0.7, 0.4, 0.5, 0.2], [0.9, 0.0002, 0.0001, 0.00005]
    assert best({"bold": predictions(bold, score), "sober": predictions(sober, score)}) == "sober"


def test_given_a_low_ceiling_when_checked_then_it_is_warned_of_once() -> None:
    forgets = BktParameters(0.3, 0.1, 0.2, 0.1, forget=0.2)
    fitted = Fitted(Parameters(concepts={"c": ConceptParameters(forgets)}))
    (told,) = degenerate(fitted, Tallies(1, {"c": Tally(100, 50.0)}, {}))
    assert "'c' (0.800)" in told
    again = Fitted(fitted.parameters, warnings=[told])
    assert degenerate(again, Tallies(1, {"c": Tally(100, 50.0)}, {})) == [told]


def test_given_a_low_ceiling_then_the_table_names_its_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    forgets = Parameters(default=BktParameters(0.3, 0.1, 0.2, 0.1, forget=0.2))
    warn_of_ceilings(
        {
            "low": predictions([0.5], [1.0], fitted=[Fitted(Parameters()), Fitted(forgets)]),
            "high": predictions([0.5], [1.0]),
        }
    )
    assert capsys.readouterr().out.startswith("low: mastery of 1 concept cannot")
    warn_of_ceilings({"high": predictions([0.5], [1.0])})
    assert not capsys.readouterr().out


def test_given_warnings_then_many_are_folded_and_an_empty_list_says_none() -> None:
    fitted = Fitted(Parameters(), warnings=[f"warning {n}" for n in range(15)])
    html = render_evaluation(evaluation("classical", fitted=fitted))
    assert "<summary>3 more</summary>" in html
    assert all(f"<li>warning {n}</li>" in html for n in range(15))
    few = render_evaluation(evaluation("classical", fitted=Fitted(Parameters(), {}, ["one"])))
    assert "<li>one</li>" in few
    assert "more</summary>" not in few
    none = render_evaluation(evaluation("classical", fitted=Fitted(Parameters())))
    assert "No parameter looks degenerate." in none


def test_given_an_unanswered_item_when_tallied_then_its_mean_is_nan() -> None:
    assert np.isnan(Tally().right)
    assert Tally(4, 3.0).right == 0.75


def test_given_report_when_the_command_runs_then_the_page_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command = ["evaluate", str(a_file(tmp_path)), "--json", "--report", str(page), *ALONE]
    done = CliRunner().invoke(app, [*command, "--model", "bkt", "--model", "classical"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("{")
    assert done.stdout.rstrip().endswith("}")
    html = page.read_text(encoding="utf-8")
    check_page(html)
    assert "responses.csv" in html
    assert len(cells(html, "classical")) == 5


def test_given_no_directory_for_the_report_then_it_is_refused_first(
    tmp_path: Path,
) -> None:
    absent = tmp_path / "absent" / "page.html"
    done = CliRunner().invoke(app, ["evaluate", str(a_file(tmp_path)), "--report", str(absent)])
    assert done.exit_code == 2
    assert "--report" in done.output
