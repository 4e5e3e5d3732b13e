"""Measures of stored predictions, and their page."""

import io
import json
import math
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.support.factories import learner_log
from tests.support.ledger_steps import record
from tests.support.pages import EVIL, check_escaped, check_figures, text_of
from workers.cli.evaluate.live import collected, live_table
from workers.cli.main import app
from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.estimation.metrics import auc, brier, ece, log_loss
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.predictions import Selection, StoredPrediction
from workers.modelling.evaluation.live import Collected, Live, drifting, measured
from workers.modelling.evaluation.live_page.document import live_document
from workers.modelling.evaluation.live_page.report import render_live
from workers.reports.figures import histogram

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
START_US = 1_790_000_000_000_000


def told(number: int, probability: float, score: float, **fields: Any) -> StoredPrediction:
    whole: dict[str, Any] = {
        "learner": LearnerKey("school", f"s{number % 40}"),
        "concept_ids": ("c",),
        "masteries": (0.5,) * len(fields.get("concept_ids", ("c",))),
        "attempts": 1,
        "version": number,
        "parameters_version": 1,
        "recorded_at_us": START_US + number * 1_000_000,
    }
    values = {**whole, **fields}
    return StoredPrediction(score=score, probability=probability, **values)


def stream(size: int, seed: int = 1, shift: float = 0.0, **fields: Any) -> list[StoredPrediction]:
    """Predictions that come true, but for a shift; concepts "a" to "d", some together."""
    draw = random.Random(seed)
    predictions = []
    for number in range(1, size + 1):
        probability = draw.uniform(0.1, 0.85)
        values = {
            "concept_ids": tuple(draw.sample("abcd", draw.choice((1, 1, 2)))),
            "attempts": draw.choice((1, 2, 6, 11, 21, 51)),
            **fields,
        }
        score = float(draw.random() < probability + shift)
        predictions.append(told(number, probability, score, **values))
    return predictions


def live_of(*pages: list[StoredPrediction]) -> Live:
    collection = Collected()
    for page in pages:
        collection.add(page)
    return collection.live()


def test_given_predictions_in_key_order_then_they_are_those_of_recording() -> None:
    rows = stream(500)
    mixed = random.Random(2).sample(rows, len(rows))
    live = live_of(mixed[:100], [], mixed[100:])

    assert live.score.tolist() == [row.score for row in rows]
    assert live.probability.tolist() == [row.probability for row in rows]
    assert live.recorded_us.tolist() == [row.recorded_at_us for row in rows]
    pairs = sorted(zip(live.of_response.tolist(), live.of_concept.tolist(), strict=True))
    assert [(k, live.concepts[c]) for k, c in pairs] == sorted(
        ((k, c) for k, row in enumerate(rows) for c in row.concept_ids),
        key=lambda place: (place[0], live.concepts.index(place[1])),
    )


def test_given_predictions_then_each_group_is_measured_alone_and_exactly() -> None:
    rows = [
        *stream(300),
        *(
            prediction._replace(parameters_version=2, version=prediction.version + 300)
            for prediction in stream(200, seed=3)
        ),
    ]
    live = live_of(rows)

    def expected(chosen: list[StoredPrediction]) -> tuple[float, ...]:
        score = np.array([prediction.score for prediction in chosen])
        probability = np.array([prediction.probability for prediction in chosen])
        return (
            len(chosen),
            auc(score, probability),
            log_loss(score, probability),
            brier(score, probability),
            math.sqrt(brier(score, probability)),
            ece(score, probability),
        )

    assert live.whole()[:6] == expected(rows)
    assert live.whole().bias.mean == pytest.approx(
        np.mean([row.score - row.probability for row in rows])
    )
    versions = live.by_version()
    assert {n: of[:6] for n, of in versions.items()} == {
        1: expected(rows[:300]),
        2: expected(rows[300:]),
    }
    for name, of in live.by_concept().items():
        mine = [row for row in rows if name in row.concept_ids]
        assert of[:6] == pytest.approx(expected(mine), rel=1e-12)
    counts = [of.responses for of in live.by_concept().values()]
    assert counts == sorted(counts, reverse=True)
    histories = live.by_history()
    for label, attempts in zip(histories, (1, 2, 6, 11, 21, 51), strict=True):
        mine = [row for row in rows if row.attempts == attempts]
        assert histories[label][:6] == expected(mine)
    second = live.by_history(live.versions()[2])
    assert sum(of.responses for of in second.values()) == 200


def test_given_nothing_then_there_is_no_measure_and_no_span() -> None:
    live = live_of([])
    assert live.whole().responses == 0
    assert all(math.isnan(value) for value in live.whole()[1:6])
    assert live.spans() == []
    assert live.by_concept() == {}
    assert drifting(live.by_concept()) == []
    document = live_document(live, Selection("t", START_US), {})
    assert json.loads(json.dumps(document, allow_nan=True))["since"] == iso(START_US)
    assert document["drift"] == {"overall": False, "concepts": []}


def test_given_predictions_of_even_odds_then_no_excess_can_be_judged() -> None:
    of = measured(np.tile([1.0, 0.0], 200), np.full(400, 0.5))
    assert of.excess.mean == 0.0
    assert math.isnan(of.excess.over)
    assert of.bias.over < 0.0


def mastered(
    number: int, student: str, *concepts: tuple[str, float], score: float
) -> StoredPrediction:
    return told(
        number,
        0.5,
        score,
        learner=LearnerKey("school", student),
        concept_ids=tuple(name for name, _ in concepts),
        masteries=tuple(mastery for _, mastery in concepts),
    )


def test_given_stored_mastery_in_order_of_keys_then_versions_order_it() -> None:
    # s masters a at version 2 and b at version 3; t masters a with the last answer.
    rows = [
        mastered(4, "s", ("a", 0.97), ("b", 0.9), score=1.0),
        mastered(2, "s", ("a", 0.95), score=0.0),
        mastered(1, "s", ("a", 0.5), score=0.5),
        mastered(3, "s", ("b", 1.0), score=1.0),
        mastered(5, "t", ("a", 1.0), score=1.0),
    ]
    measured = live_of(rows[:2], rows[2:]).validity
    assert measured.pairs == 3
    at = measured.at_threshold
    assert at.share == 1.0
    # Version 4 follows on a and on b; version 1 goes before on a.
    assert (at.right_after, at.answers_after) == (1.0, 2)
    assert (at.right_before, at.answers_before) == (0.5, 1)
    assert at.without_following == 1
    assert measured.lapses == pytest.approx(1 / 3)
    assert measured.answers_until[1] == 1.0
    # The two that are certain are tied.
    assert measured.at_shares[0.3].share == pytest.approx(2 / 3)


def test_given_stored_mastery_when_shown_then_the_document_has_no_learner() -> None:
    live = live_of([mastered(1, "secret", ("a", 0.5), score=1.0)])
    document = live_document(live, Selection(), {"a": 0.9})
    assert document["mastery"]["pairs"] == 1
    assert document["mastery"]["ceilings"] == {"a": 0.9}
    html = render_live(live, Selection(), NOW, {"a": 0.9})
    assert "mastery of 1 concept cannot stay at 0.99" in html
    assert "secret" not in html
    assert "secret" not in json.dumps(document)


def test_given_spans_then_they_hold_all_responses_in_order() -> None:
    rows = stream(1_130)
    spans = live_of(rows).spans()
    assert [span.measures.responses for span in spans] == [282, 283, 283, 282]
    assert [span.first for span in spans] == [0, 282, 565, 848]
    assert (spans[0].from_us, spans[-1].until_us) == (
        rows[0].recorded_at_us,
        rows[-1].recorded_at_us,
    )
    first = rows[:282]
    p = np.array([prediction.probability for prediction in first])
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert spans[0].entropy == pytest.approx(entropy.mean())
    assert spans[0].bias_error == pytest.approx(math.sqrt((p * (1 - p)).sum()) / 282)
    assert spans[0].score == pytest.approx(np.mean([prediction.score for prediction in first]))
    assert len(live_of(stream(20_000)).spans()) == 40
    assert len(live_of(stream(3)).spans()) == 1


def test_given_a_drifting_concept_then_it_alone_is_named() -> None:
    rows = stream(4_000, concept_ids=("a",))
    rows += [
        prediction._replace(version=prediction.version + 4_000)
        for prediction in stream(400, shift=-0.3, concept_ids=("b",))
    ]
    live = live_of(rows)
    assert drifting(live.by_concept()) == ["b"]
    assert live_document(live, Selection(), {})["drift"]["concepts"] == ["b"]


def test_given_several_versions_then_the_page_is_whole_and_loads_nothing() -> None:
    rows = stream(900)
    rows += [
        prediction._replace(version=prediction.version + 900, parameters_version=2)
        for prediction in stream(800, seed=2, shift=-0.2)
    ]
    html = text_of(render_live(live_of(rows), Selection(EVIL, START_US), NOW, {}))
    check_escaped(html)
    check_figures(html, 8)
    for name in (
        "Calibration",
        "Calibration of version 1",
        "Calibration of version 2",
        "Score minus prediction over time",
        "Log loss over time",
        "AUC by number of earlier answers",
        "Calibration error by number of earlier answers",
    ):
        assert f">{name}</title>" in html
    # The line at which other parameters begin to predict.
    assert len(re.findall('<line class="marker"', html)) == 2
    assert "do not fit for" in html


@pytest.mark.parametrize("size", [1, 40])
def test_given_few_predictions_of_one_version_then_the_page_stands(size: int) -> None:
    html = render_live(live_of(stream(size, concept_ids=(EVIL,))), Selection(), NOW, {})
    check_escaped(html)
    check_figures(html, 6)
    assert "Predictions fit for every concept" in html
    assert "Calibration of version" not in html


def test_given_many_drifting_concepts_then_the_first_are_named() -> None:
    rows = []
    for k in range(25):
        rows += [
            told(k * 400 + n, 0.5, float(n % 10 == 0), concept_ids=(f"c{k}{EVIL}",))
            for n in range(400)
        ]
    live = live_of(rows)
    html = text_of(render_live(live, Selection(), NOW, {f"c0{EVIL}": 0.5}))
    # Named in the list, in the warning and in its row of the table.
    check_escaped(html, 20 + 1 + 25)
    assert "Predictions do not fit for 25 of 25 concepts:" in html
    assert " and 5 more." in html
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(live_table(live))
    assert "… and 5 more concepts" in console.export_text()


async def test_given_a_ledger_when_collected_then_all_pages_are_read() -> None:
    ledger = MemoryLedger()
    for student in ("s", "t"):
        await record(ledger, LearnerKey("school", student), learner_log(30, seed=5))
    live = await collected(ledger, Selection("school"), limit=7)
    assert live.whole().responses == 60
    assert (await collected(ledger, Selection("other"), limit=7)).whole().responses == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--live", "a.csv"], "give no FILE"),
        (["--live", "--model", "bkt"], "no --model"),
        ([], "name a CSV of responses, or give --live"),
        (["a.csv", "--tenant", "t"], "--tenant and --since go with"),
        (["a.csv", "--since", "1d"], "--tenant and --since go with"),
        (["--live", "--since", "yesterday"], "'yesterday' is not a time"),
        (["--live", "--report", "/no/such/place.html"], "is not a directory"),
    ],
)
def test_given_options_that_exclude_each_other_when_run_then_it_says_so(
    arguments: list[str], said: str
) -> None:
    done = CliRunner().invoke(app, ["evaluate", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in re.sub(r"\s+", " ", done.output.replace("│", " "))


def test_given_nothing_stored_when_judged_then_it_says_so_without_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "SUPABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["evaluate", "--live", "--report", str(page)])
    assert done.exit_code == 0, done.output
    assert "no page is written" in done.output
    assert not page.exists()


def test_given_numbers_far_apart_when_drawn_then_bins_are_few() -> None:
    plot = histogram("n", "N", np.array([0.0, 1e6]), width=0.25, x_label="x", y_label="y")
    assert sum(mark.tag == "rect" for mark in plot.marks) < 100
