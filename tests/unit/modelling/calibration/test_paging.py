"""Pages of any size, in memory or on disk, give the same to the last bit."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tests.support.simulated_learners import simulated
from tests.unit.modelling.calibration.test_answers import on_scales, parted
from workers.modelling.calibration.answer_files import mapped, writing
from workers.modelling.calibration.answers import answers_of
from workers.modelling.calibration.facts import Facts, facts_of
from workers.modelling.calibration.fitting import fit_table
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.packing import packed_fit
from workers.modelling.calibration.paging import column, pages, release
from workers.modelling.calibration.table import Table
from workers.modelling.calibration_run.workspace import Workspace

_ROOM = "workers.modelling.calibration"


def tiny_pages(monkeypatch: pytest.MonkeyPatch, page: int = 7) -> None:
    """Make every column longer than a page, every group of concepts and every tree too large."""
    for module in ("paging", "answer_tables", "ability.filter"):
        monkeypatch.setattr(f"{_ROOM}.{module}.PAGE", page)
    monkeypatch.setattr(f"{_ROOM}.paging._IN_MEMORY", 0)
    monkeypatch.setattr(f"{_ROOM}.table._GROUP", 40)
    monkeypatch.setattr(f"{_ROOM}.bkt.forest._NODES", 20)


def columns_of(table: Table) -> dict[str, list[object]]:
    return {field.name: list(getattr(table, field.name)) for field in fields(table)}


@pytest.mark.usefixtures("few_parts")
@pytest.mark.parametrize(("model", "several"), [("bkt-irt", False), ("bkt-irt", True)])
def test_given_tiny_pages_on_disk_then_a_fit_is_the_same_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, *, model: str, several: bool
) -> None:
    logs = simulated(24, 3, concepts=4, most=14, several=several)
    # A score between, and one learner far longer than the others, who ends alone.
    logs.append([log[0]._replace(score=0.4) for log in logs[:3]] + logs[0] * 4)
    whole = packed_fit(fit_table(model, table_of(logs)[0]))
    tiny_pages(monkeypatch)
    table = answers_of(logs).table(0)
    assert len(table.concept_groups) > 1
    assert packed_fit(fit_table(model, table)) == whole


def test_given_answers_in_files_then_tables_and_facts_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = on_scales(simulated(30, 4, several=True))
    answers = parted(logs)
    expected = [columns_of(answers.table(scale)) for scale in range(len(answers.scales))]
    facts = facts_of(answers)
    tiny_pages(monkeypatch)
    with writing(tmp_path) as files:
        for learners in pages(len(logs), 4):
            part = answers_of(logs[learners])
            held_out = answers.held_out[learners]
            files.append(type(part)(**{**vars(part), "held_out": held_out}))
    read = mapped(tmp_path)
    assert read.digest() == answers.digest()
    assert facts_of(read) == facts
    assert Facts.of(facts.document()) == facts
    workspace = Workspace(tmp_path)
    for scale, columns in enumerate(expected):
        assert columns_of(read.table(scale)) == columns
        assert columns_of(workspace.table(scale)) == columns
        assert columns_of(workspace.table(scale)) == columns


def test_given_a_column_on_disk_when_released_then_its_content_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{_ROOM}.paging._IN_MEMORY", 0)
    values = column((3, 1_000), np.float64)
    values[:] = 2.5
    release(values, np.zeros(3))
    assert (values == 2.5).all()
    assert [(page.start, page.stop) for page in pages(5, 2)] == [(0, 2), (2, 4), (4, 5)]
