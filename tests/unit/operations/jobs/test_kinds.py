"""Kinds of jobs, run by the runner."""

import asyncio
import copy
import json
from typing import Any

import pytest

from contracts.streams import shards
from tests.support.ledger_steps import record
from tests.support.simulated_learners import simulated
from tests.unit.operations.jobs.conftest import JOB, SHARDS, World, request, run, runner_of
from workers.estimation.learner import LearnerKey
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.jobs.kinds.calibrate import run_of
from workers.operations.jobs.record import JobStatus
from workers.reference.examples import EXAMPLES

_WITHIN_S = 30.0


async def test_given_a_request_to_verify_then_only_its_tenant_is_examined(
    world: World,
) -> None:
    async with world.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(f"job_progress:{JOB.job_id}")
        await run(world)
        said: list[Any] = []
        async with asyncio.timeout(_WITHIN_S):
            while len(said) < 4:
                if (message := await channel.get_message(timeout=1.0)) is not None:
                    said.append(json.loads(message["data"]))

    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED
    assert job.result == {
        "learners": 25,
        "responses": 50,
        "rows_without_checksum": 0,
        "learners_outdated": 0,
        "differences": 0,
    }
    assert (job.progress, job.step, job.total_steps, job.requested_by) == (1, 25, 25, "operator-1")
    assert job.started_at is not None
    assert job.ended_at is not None
    assert await world.pending() == 0
    assert [(message["progress"], message["step"]) for message in said] == [
        (0, 0),
        (0.8, 20),
        (1, 25),
        (1, 25),
    ]
    assert set(said[0]) == {"job_id", "progress", "step", "total_steps", "payload"}
    assert said[-1]["payload"]["status"] == "succeeded"


async def test_given_a_damaged_state_then_verify_finds_it_and_rebuild_repairs_it(
    world: World,
) -> None:
    for tenant_id, student_id in (("school-7", "s001"), ("school-8", "s000")):
        state = world.ledger._accounts[LearnerKey(tenant_id, student_id)]
        concept_id = next(iter(state.concepts))
        state.concepts[concept_id] = state.concepts[concept_id]._replace(attempts=99)
    await run(world)
    await run(world, request("rebuild", 2, parameters={"dry_run": True}))
    await run(world, request("rebuild", 3))
    await run(world, request("verify", 4, parameters={"student_id": "s001"}))
    results = [job.result for n in range(1, 5) if (job := await world.job(n)) and job.result]

    assert results[0]["differences"] >= 1
    # What it tells of students is how many: the record outlives what it is about.
    assert all(isinstance(value, int) for job in results for value in job.values())
    assert (results[1]["repaired"], results[1]["dry_run"]) == (1, True)
    assert (results[2]["repaired"], results[2]["learners"]) == (1, 25)
    assert (results[3]["differences"], results[3]["learners"]) == (0, 1)
    (other,) = await world.ledger.stored([LearnerKey("school-8", "s000")])
    assert 99 in {row.attempts for row in other.concepts}


async def test_given_an_empty_graph_when_reconciled_then_it_has_only_the_tenant(
    world: World,
) -> None:
    await run(world, request("reconcile", 1, parameters={"dry_run": True}))
    await run(world, request("reconcile", 2))
    await run(world, request("reconcile", 3))
    results = [job.result for n in range(1, 4) if (job := await world.job(n)) and job.result]

    assert results[0]["differences"] == results[0]["not_repaired"] == results[1]["differences"] > 25
    assert (results[1]["not_repaired"], results[1]["learners"]) == (0, 25)
    assert results[2]["differences"] == 0
    students = await world.graph.students(LearnerKey("", ""), 100)
    assert {key.tenant_id for key in students} == {"school-7"}


async def _unlock(world: World, tenant_id: str, student_id: str, concept_id: str) -> None:
    example = copy.deepcopy(EXAMPLES["practice.concept.unlocked.v1"])
    example["data"] |= {
        "tenant_id": tenant_id,
        "student_id": student_id,
        "concept_id": concept_id,
    }
    await world.redis.xadd(shards(SHARDS)[-1].unlocked, {"event": json.dumps(example)})


async def test_given_a_lost_graph_when_reconciled_then_no_unlock_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant_id, student_id in (("school-7", "s001"), ("school-7", "s003"), ("school-8", "s000")):
        (concept_id, *_) = world.ledger._accounts[LearnerKey(tenant_id, student_id)].concepts
        await _unlock(world, tenant_id, student_id, concept_id)
    xrange, missed = world.redis.xrange, 0

    async def away_at_first(*args: Any, **options: Any) -> Any:
        nonlocal missed
        missed += 1
        if missed == 1:
            raise ConnectionError("away")
        return await xrange(*args, **options)

    await run(world, request("reconcile", 1, parameters={"student_id": "s003"}))
    monkeypatch.setattr(world.redis, "xrange", away_at_first)
    await run(world, request("reconcile", 2))
    await run(world, request("reconcile", 3, parameters={"dry_run": True}))
    results = [job.result for n in range(1, 4) if (job := await world.job(n)) and job.result]

    assert missed > 1
    assert [result["unlocked"] for result in results] == [1, 1, 0]
    learners = await world.graph.stored(None, 100)
    noted = [
        (concept.student_id, concept.entry) for learner in learners for concept in learner.unlocked
    ]
    assert noted == [("s001", ""), ("s003", "")]


async def test_given_calibration_then_a_version_is_stored_and_figures_are_told(
    world: World,
) -> None:
    for number, log in enumerate(simulated(40, 5)):
        tenant_id = "school-7" if number % 2 else "school-8"
        await record(world.ledger, LearnerKey(tenant_id, f"c{number}"), log)
    asked = {"model": "bkt", "activate": "always", "note": "as a test"}
    await run(world, request("calibrate", parameters=asked))

    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED, job.problem
    assert job.result is not None
    # Of all tenants, and no name of any: what it is of may be another tenant's.
    assert job.result["learners"] == 90
    assert (job.result["version"], job.result["active"]) == (2, True)
    assert job.result["held_out"]["learners"] > 0
    assert set(job.result["decision"]) == {"activate", "reason"}
    assert job.result["held_out"]["mastery"]["new"]["pairs"] > 0
    assert "c0" not in json.dumps(job.result)
    assert job.step == job.total_steps > 100
    stored = await world.ledger.version(2)
    assert (stored.model, stored.note) == ("bkt", "as a test")
    assert stored.diagnostics["run"] == run_of(JOB)
    assert stored.diagnostics["decision"] == job.result["decision"]
    assert await world.ledger.active_version() == 2
    assert await world.ledger.stages(run_of(JOB)) == {}


async def test_given_no_answers_when_calibrated_then_the_job_says_so(world: World) -> None:
    world.runner = runner_of(world.redis, MemoryLedger(), world.graph)
    await run(world, request("calibrate"))
    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.FAILED
    assert "too few answers to calibrate" in str(job.problem)
