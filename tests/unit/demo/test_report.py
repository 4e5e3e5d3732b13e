import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.support.pages import EVIL, check_escaped, check_figures, check_page, text_of
from workers.demo.report import render_report, summary_table
from workers.demo.report_data import Knowledge, Measures, Predictions, ReportData

NAN = float("nan")


def predictions(**columns: Any) -> Predictions:
    whole: dict[str, Any] = {
        "student_id": ["s-1", "s-1", "s-2", "s-2"],
        "concept_id": ["add", "add", "add", "multiply"],
        "attempt": np.array([1, 2, 1, 1]),
        "score": np.array([0.0, 1.0, 1.0, 0.0]),
        "probability": np.array([0.375, 0.4, 0.375, 0.375]),
    }
    return Predictions(**{**whole, **columns})


def knowledge(**columns: Any) -> Knowledge:
    whole: dict[str, Any] = {
        "students": ["s-1", "s-2"],
        "concepts": ["multiply", "add"],
        "mastery": np.array([[NAN, 0.97], [0.13, 0.6]]),
        "theta": np.array([0.0, 0.1]),
        "standard_error": np.array([0.8, 0.8]),
    }
    return Knowledge(**{**whole, **columns})


def report_data(**fields: Any) -> ReportData:
    whole: dict[str, Any] = {
        "title": "A class",
        "source": "Two students.",
        "generated_at": datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
        "responses": 4,
        "duration_s": 0.5,
        "predictions": predictions(),
        "knowledge": knowledge(),
        "titles": {"add": "Adding fractions"},
    }
    return ReportData(**{**whole, **fields})


def large(students: int, concepts: int, answers: int) -> ReportData:
    rng = np.random.default_rng(5)
    names = [f"student {n}" for n in range(students)]
    titles = [f"concept {n}" for n in range(concepts)]
    probability = rng.random(answers)
    return report_data(
        responses=answers,
        predictions=Predictions(
            [names[n] for n in rng.integers(students, size=answers)],
            [titles[n] for n in rng.integers(concepts, size=answers)],
            rng.integers(1, 60, answers),
            (rng.random(answers) < probability).astype(float),
            probability,
        ),
        knowledge=Knowledge(
            names,
            titles,
            np.where(rng.random((students, concepts)) < 0.3, NAN, rng.random((students, concepts))),
            rng.normal(size=students),
            np.full(students, 0.3),
            rng.random((students, concepts)) < 0.5,
        ),
    )


@pytest.mark.parametrize("data", [report_data(), large(900, 60, 20_000)], ids=["small", "large"])
def test_given_data_when_rendered_then_a_well_formed_page_loads_nothing(
    data: ReportData,
) -> None:
    html = render_report(data)
    check_page(html)
    assert len(html) < 2_000_000


@pytest.mark.parametrize("data", [report_data(), large(900, 60, 20_000)], ids=["small", "large"])
def test_given_figures_when_drawn_then_each_has_title_and_description(data: ReportData) -> None:
    check_figures(render_report(data), 5)


def test_given_ids_with_markup_when_rendered_then_they_are_text() -> None:
    data = report_data(
        title=EVIL,
        source=EVIL,
        predictions=predictions(concept_id=[EVIL] * 4),
        knowledge=knowledge(concepts=["multiply", EVIL]),
        facts={EVIL: EVIL},
    )
    check_escaped(render_report(data), 6)


def test_given_dollar_signs_when_rendered_then_they_stay() -> None:
    assert "$style costs $5" in render_report(report_data(source="$style costs $5"))


def test_given_columns_of_other_lengths_when_made_then_value_error() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        predictions(attempt=np.array([1]))
    empty = np.array([], dtype=float)
    with pytest.raises(ValueError, match="nothing to report"):
        Predictions([], [], np.array([], dtype=int), empty, empty)
    with pytest.raises(ValueError, match=r"shape \(2, 2\), but: .*'theta': \(1,\)"):
        knowledge(theta=np.array([0.0]))
    with pytest.raises(ValueError, match="known"):
        knowledge(known=np.zeros((3, 2), dtype=bool))


def test_given_truth_when_measured_then_only_practised_pairs_count() -> None:
    known = np.array([[True, True], [False, False]])
    truth = Measures.of(report_data(knowledge=knowledge(known=known))).truth
    assert truth is not None
    assert truth.quality.count == 3
    assert truth.quality.auc == 1.0
    assert truth.quality.brier == pytest.approx((0.03**2 + 0.13**2 + 0.6**2) / 3)
    assert (truth.declared, truth.declared_known) == (1, 1)
    assert Measures.of(report_data()).truth is None


def test_given_data_when_measured_then_counts_and_rate() -> None:
    measures = Measures.of(report_data())
    assert (measures.learners, measures.concepts, measures.responses_per_s) == (2, 2, 8.0)
    assert (measures.mastered, measures.practised) == (1, 3)


def test_given_many_learners_when_rendered_then_it_says_what_is_left_out() -> None:
    html = text_of(render_report(large(900, 60, 20_000)))
    assert "240 of 900 students" in html
    assert "the 24 most practised of 60 concepts" in html
    assert "the 12 concepts with the most answers" in html
    assert "<details><summary>All 60 concepts" in html
    assert "240 of 900 learners, evenly spaced by ability" in html


def test_given_truth_when_rendered_then_it_stands_beside_the_estimate() -> None:
    data = report_data(knowledge=knowledge(known=np.array([[False, True], [False, False]])))
    html = text_of(render_report(data))
    assert "<h3>True knowledge</h3>" in html
    assert (
        "100.0% of the 1 student-concept pairs declared mastered (P(known) ≥ 95%) are truly known."
        in html
    )
    assert "<h3>True knowledge</h3>" not in render_report(report_data())


def test_given_no_right_answer_or_ability_when_rendered_then_dashes_show() -> None:
    data = report_data(
        duration_s=0.0,
        predictions=predictions(score=np.zeros(4)),
        knowledge=knowledge(theta=np.full(2, NAN), standard_error=np.full(2, NAN)),
    )
    html = render_report(data)
    assert '<dt>AUC</dt><dd>\N{EN DASH}<span class="what">' in html
    assert "<h2>Ability</h2>" not in html
    assert "<dt>Rate</dt><dd>\N{EN DASH}" in html


def test_given_no_mastery_at_all_when_rendered_then_the_rest_stands() -> None:
    html = render_report(report_data(knowledge=knowledge(mastery=np.full((2, 2), NAN))))
    assert "Mastery by student" not in html
    assert "<h2>Calibration</h2>" in html


def test_given_data_when_summed_up_then_the_table_has_its_figures() -> None:
    known = np.array([[False, True], [False, False]])
    console = Console(width=120)
    with console.capture() as captured:
        console.print(
            summary_table(report_data(knowledge=knowledge(known=known), facts={"Late": "3"}))
        )
    text = captured.get()
    for expected in ("A class", "8/s", "AUC", "0.7500", "Late", "100.0%", "1 of 1"):
        assert expected in text


def test_given_a_concept_without_estimates_then_its_row_has_dashes() -> None:
    data = report_data(predictions=predictions(concept_id=["add", "add", "add", "divide"]))
    row = re.search(r'<tr><th scope="row">divide</th>(.*?)</tr>', render_report(data))
    assert row is not None
    cells = re.findall("<td[^>]*>(.*?)</td>", row.group(1))
    assert cells[-3:] == ["\N{EN DASH}"] * 3
