"""The end of a calibration: stored and activated once, whatever fails or is decided meanwhile."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from tests.support.factories import uuid_of
from tests.support.ledger_steps import record
from tests.support.simulated_learners import simulated
from tests.unit.modelling.calibration_run.test_calibrator import HERE, practised, said_nothing
from workers.common.errors import LedgerUnavailable
from workers.common.retrying import Retrying
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import BktParameters, Parameters
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameters import Activation
from workers.modelling.calibration_run.calibrator import Calibrator
from workers.modelling.calibration_run.processes import ProcessPool
from workers.modelling.calibration_run.request import Activate, Calibrated, Request
from workers.modelling.calibration_run.workspace import Workspace

_RUN = uuid_of("run")
_OTHER = parameters_document(Parameters(default=BktParameters(0.4, 0.2, 0.15, 0.05)))


class _Killed(Exception):
    """Stands for a worker's end."""


async def _nothing_is_left_to_do(_: Workspace, name: str) -> None:
    raise AssertionError(f"{name} was done before")


async def calibrated(
    ledger: MemoryLedger, activate: Activate = "always", pool: ProcessPool = HERE
) -> Calibrated:
    retrying = Retrying(first_s=0.001)
    calibrator = Calibrator(ledger=ledger, retrying=retrying, pool=pool)
    request = Request("bkt", activate)
    return await calibrator.calibrate(request, said_nothing, run_id=_RUN, by="job")


async def again(ledger: MemoryLedger, activate: Activate = "always") -> Calibrated:
    """Run the job again as another worker, after one died before it reported the end."""
    return await calibrated(ledger, activate, ProcessPool(1, _nothing_is_left_to_do))


async def test_given_a_lost_answer_when_stored_then_there_is_one_version() -> None:
    class Losing(MemoryLedger):
        lost = False

        async def store(
            self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
        ) -> int:
            version = await super().store(model, document, diagnostics, note)
            if not self.lost:
                self.lost = True
                raise LedgerUnavailable("lost")
            return version

    ledger = Losing()
    await practised(ledger, 40)
    calibration = await calibrated(ledger)
    assert ledger.lost
    assert (calibration.version, calibration.active) == (2, True)
    assert [listed.version for listed in await ledger.versions()] == [1, 2]


@pytest.mark.parametrize("activate", ["if-better", "always"])
async def test_given_a_worker_that_dies_after_activation_then_another_reports_it(
    activate: Activate,
) -> None:
    ledger = MemoryLedger()
    await practised(ledger, 150)
    first = await calibrated(ledger, activate)
    assert (first.version, first.active, first.compared_with) == (2, True, 1)
    late = LearnerKey("school-1", "late")
    await record(ledger, late, simulated(1, 9)[0], first.parameters)

    assert await again(ledger, activate) == first
    assert await ledger.active_version() == 2

    # What somebody decided since is left as it is.
    await ledger.activate(1, "no, it was not")
    after = await again(ledger, activate)
    assert (after.version, after.active, after.comparison) == (2, False, first.comparison)
    assert await ledger.active_version() == 1


async def test_given_a_worker_that_dies_after_storing_then_another_activates_it() -> None:
    class Dying(MemoryLedger):
        dead = False

        async def activate(
            self, version: int, reason: str, *, expected: Activation | None = None
        ) -> bool:
            if not self.dead:
                self.dead = True
                raise _Killed
            return await super().activate(version, reason, expected=expected)

    ledger = Dying()
    await practised(ledger, 40)
    with pytest.raises(_Killed):
        await calibrated(ledger)
    assert [listed.version for listed in await ledger.versions()] == [1, 2]
    calibration = await again(ledger)
    assert (calibration.version, calibration.active, calibration.compared_with) == (2, True, 1)
    assert calibration.diagnostics == (await ledger.version(2)).diagnostics


async def test_given_another_version_meanwhile_then_it_is_compared_with_that_one() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)
    other = await ledger.store("classical", _OTHER, {}, "")

    async def decided(workspace: Workspace, name: str) -> None:
        if name.startswith("held-out") and await ledger.active_version() == 1:
            await ledger.activate(other, "by hand")
        await HERE.run(workspace, name)

    calibration = await calibrated(ledger, pool=ProcessPool(1, decided))
    assert (calibration.version, calibration.active, calibration.compared_with) == (3, True, other)
    expected = await calibrated_anew(ledger, other)
    assert calibration.comparison.present == expected.comparison.present
    assert calibration.comparison.gain == expected.comparison.gain


async def calibrated_anew(ledger: MemoryLedger, present: int) -> Calibrated:
    await ledger.activate(present, "to compare with it")
    calibrator = Calibrator(ledger=ledger, retrying=Retrying(), pool=HERE)
    return await calibrator.calibrate(Request("bkt", dry_run=True), said_nothing)


async def test_given_another_version_after_comparison_then_that_one_stays_active() -> None:
    class Decided(MemoryLedger):
        other = 0

        async def store(
            self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
        ) -> int:
            version = await super().store(model, document, diagnostics, note)
            await self.activate(self.other, "by hand")
            return version

    ledger = Decided()
    await practised(ledger, 40)
    ledger.other = await MemoryLedger.store(ledger, "classical", _OTHER, {}, "")
    calibration = await calibrated(ledger)
    assert (calibration.version, calibration.active, calibration.compared_with) == (3, False, 1)
    assert await ledger.active_version() == ledger.other


async def test_given_older_formulas_active_then_it_is_compared_with_version_1() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 150)
    older = await ledger.store("classical", {"default": _OTHER["default"]}, {}, "")
    await ledger.activate(older, "before the upgrade")

    calibration = await calibrated(ledger, "if-better")

    assert (calibration.version, calibration.active, calibration.compared_with) == (3, True, 1)
    assert calibration.diagnostics["active_version"] == older
    activation = await ledger.activation()
    assert (activation.version, activation.reason) == (3, calibration.decision.reason)
    assert calibration.comparison.present == (await calibrated_anew(ledger, 1)).comparison.present


async def test_given_mastery_out_of_reach_then_only_always_activates_it() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 150)

    async def forgetful(workspace: Workspace, name: str) -> None:
        await HERE.run(workspace, name)
        if name == "fit 0":
            document = orjson.loads(workspace.taken(name))
            document["parameters"]["concepts"]["c1"]["mastery"]["forget"] = 0.2
            workspace.put(name, orjson.dumps(document).decode())

    calibration = await calibrated(ledger, "if-better", ProcessPool(1, forgetful))
    assert (calibration.version, calibration.active) == (2, False)
    assert calibration.comparison.gain > 0.0
    assert "out of reach on 1 of 3 concepts" in calibration.decision.reason
    concepts = calibration.diagnostics["concepts"]
    assert {name: concept["mastery_within_reach"] for name, concept in concepts.items()} == {
        "c0": True,
        "c1": False,
    }
    assert concepts["c1"]["mastery_ceiling"] == 0.8
    assert any("'c1' (0.800)" in warning for warning in calibration.diagnostics["warnings"])

    assert (await again(ledger, "always")).active
    reason = (await ledger.activation()).reason
    assert reason is not None
    assert "--activate always; by the rule if-better not to be activated: mastery" in reason
