"""Predictions on real servers: metrics, `evaluate --live` and the table say the same."""

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.factories import learner_log
from tests.support.ledger_steps import PARAMETERS, load, record
from tests.support.live_predictions import (
    drained,
    free_port,
    live_differences,
    metric_differences,
    scraped,
    stored_rows,
)
from tests.support.pages import check_figures, check_page
from tests.support.whole_run import Setting, publish, simulated_rows, start_worker
from workers.cli.main import app
from workers.estimation.learner import LearnerKey
from workers.ledger.predictions import probability_of
from workers.ledger.sql.direct import DirectLedger
from workers.metrics.drift.monitor import SIZE, SIZE_OF_CONCEPT
from workers.operations.repair.correcting import Corrector, Verdict


@pytest.fixture
def setting(redis_url: str, database_url: str) -> Setting:
    return Setting(redis_url, {"DATABASE_URL": database_url}, database_url)


async def evaluated(setting: Setting, *arguments: str) -> str:
    # It has an event loop of its own.
    done = await asyncio.to_thread(
        CliRunner().invoke,
        app,
        ["evaluate", "--live", *arguments],
        env=setting.environment(COLUMNS="120"),
    )
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_given_responses_then_metrics_and_command_agree_with_the_table(
    setting: Setting, tmp_path: Path
) -> None:
    rows = sorted(simulated_rows(1_500, 30), key=lambda r: (r["answered_at"], r["response_id"]))
    late = rows[100:110]
    published = [row for row in rows if row not in late] + late
    port = free_port()
    worker = start_worker(setting, "--role", "engine", HTTP_INNER_PORT=str(port), LOG_LEVEL="ERROR")
    try:
        await publish(setting.redis_url, published)
        await drained(setting.redis_url)
        shown = scraped(port)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
        worker.wait()

    stored = await stored_rows(setting.dsn)
    assert len(stored) == len(rows)
    assert shown["parameters_version", ""] == 1
    assert {("auc_by_concept", f"c-{n}") for n in range(6)} <= shown.keys()
    assert metric_differences(shown, stored, size=SIZE, size_of_concept=SIZE_OF_CONCEPT) == []
    page = tmp_path / "page.html"
    document = json.loads(await evaluated(setting, "--json", "--report", str(page)))
    assert live_differences(document, stored) == []
    assert (document["tenant"], document["since"]) == (None, None)
    assert document["mastery"]["pairs"] == len(
        {(row["tenant_id"], row["student_id"], name) for row in rows for name in row["concept_ids"]}
    )
    assert document["mastery"]["ceilings"] == {f"c-{n}": 1.0 for n in range(6)}
    check_page(page.read_text(encoding="utf-8"))
    check_figures(page.read_text(encoding="utf-8"), 5)

    of_tenant = json.loads(await evaluated(setting, "--json", "--tenant", "school-1"))
    assert of_tenant["overall"]["responses"] == sum(row["tenant_id"] == "school-1" for row in rows)
    none = json.loads(await evaluated(setting, "--json", "--since", "2099-01-01T00:00:00Z"))
    assert none["overall"]["responses"] == 0
    assert none["overall"]["auc"] is None
    assert (
        json.loads(await evaluated(setting, "--json", "--since", "1d"))["overall"]
        == (document["overall"])
    )
    text = await evaluated(setting)
    assert re.search(rf"all .*{document['overall']['auc']:.4f}.* 1,500", text)


async def test_given_corrections_when_judged_then_scores_count_as_now(setting: Setting) -> None:
    key = LearnerKey("school", "s")
    log = learner_log(60, seed=3)
    wrong, void = (next(answer for answer in log if answer.score == score) for score in (0.0, 1.0))
    ledger = DirectLedger(setting.dsn)
    try:
        await record(ledger, key, log)
        before = json.loads(await evaluated(setting, "--json"))["overall"]
        told = (await load(ledger, key, [void])).recorded[void.response_id]
        for verdict, response in (
            (Verdict("rescore", "wrong key", 1.0), wrong),
            (Verdict("void", "wrong item"), void),
        ):
            corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=verdict)
            await corrector.correct([(key, response.response_id)])
    finally:
        await ledger.close()

    after = json.loads(await evaluated(setting, "--json"))["overall"]

    assert after["responses"] == before["responses"] - 1 == 59
    assert 60 * before["bias"] + 1.0 - 59 * after["bias"] == pytest.approx(
        1.0 - probability_of(told)
    )
