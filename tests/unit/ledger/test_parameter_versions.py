"""Active parameters, and versions that can't be read."""

from typing import Any

import pytest

from tests.support.doubles import fast_retrying
from workers.common.errors import LedgerUnavailable, ParametersOutdated, ParametersRefused
from workers.estimation.documents import FORMULAS, parameters_document
from workers.estimation.parameters import BktParameters, Parameters
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import (
    FixedParameters,
    ParametersSource,
    RetryingVersions,
    versions_of,
)
from workers.ledger.parameters import StoredParameters

OTHER = BktParameters(0.4, 0.2, 0.15, 0.05)
DOCUMENT = parameters_document(
    Parameters(default=BktParameters(prior=0.4, learn=0.2, guess=0.15, slip=0.05))
)


class CountingLedger(MemoryLedger):
    """Counts how often a document is read, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []
        self.away = 0

    async def active_version(self) -> int:
        self.away -= 1
        if self.away >= 0:
            raise LedgerUnavailable("not there")
        return await super().active_version()

    async def version(self, version: int) -> StoredParameters:
        self.read.append(version)
        return await super().version(version)


async def stored(ledger: MemoryLedger, document: dict[str, Any] | None = None) -> int:
    return await ledger.store("bkt", DOCUMENT if document is None else document, {}, "")


async def test_given_no_activation_then_built_in_ones_have_the_threshold_setting() -> None:
    ledger = CountingLedger()
    source = ParametersSource(ledger, 0.9)

    assert source.active == Parameters(version=1, mastery_threshold=0.9)
    assert await source.refresh() == source.active
    assert ledger.read == []


async def test_given_another_version_and_back_then_each_is_read_once() -> None:
    ledger = CountingLedger()
    source = ParametersSource(ledger, 0.9)
    version = await stored(ledger)
    await ledger.activate(version, "now")

    assert source.active.version == 1
    assert await source.refresh() == Parameters(version, 0.9, OTHER)
    assert source.active.version == version
    assert (await source.switch_to(1)).default == Parameters().default
    assert source.active.version == 1
    await source.refresh()
    await source.refresh()
    assert source.active.version == version
    assert ledger.read == [version]


async def test_given_a_document_with_both_values_then_setting_and_ledger_decide() -> None:
    ledger = MemoryLedger()
    version = await stored(ledger, DOCUMENT | {"version": 77, "mastery_threshold": 0.5})

    parameters = await ParametersSource(ledger, 0.8).of(version)

    assert (parameters.version, parameters.mastery_threshold) == (version, 0.8)


async def test_given_many_versions_then_the_least_recently_used_is_forgotten() -> None:
    ledger = CountingLedger()
    source = ParametersSource(ledger, 0.95)
    versions = [await stored(ledger) for _ in range(5)]
    for version in versions[:4]:
        await source.of(version)
    await source.of(versions[0])
    await source.of(versions[4])
    ledger.read.clear()

    await source.of(versions[0])
    assert ledger.read == []
    await source.of(versions[1])
    assert ledger.read == [versions[1]]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"formulas": FORMULAS + 1}, f"formulas: {FORMULAS + 1} is newer than {FORMULAS}"),
        ({"decay_by_item": {}}, "decay_by_item"),
        ({"concepts": {"a": {"mastery": {"model": "newer"}}}}, r"concepts\.a\.mastery"),
        ({"default": {"prior": 0.4, "learn": 0.2, "guess": 0.6, "slip": 0.5}}, "guess"),
    ],
)
async def test_given_a_document_of_a_newer_engine_then_it_is_refused_with_remedy(
    document: dict[str, Any], what: str
) -> None:
    ledger = MemoryLedger()
    source = ParametersSource(ledger, 0.95)
    version = await stored(ledger, {"formulas": FORMULAS} | document)
    await ledger.activate(version, "too early")

    with pytest.raises(ParametersRefused, match=rf"version {version} .*{what}.*upgrade it, or"):
        await source.refresh()
    assert source.active.version == 1


async def test_given_older_formulas_then_refused_and_version_1_is_a_way_out() -> None:
    ledger = MemoryLedger()
    source = ParametersSource(ledger, 0.95)
    version = await stored(ledger, {name: DOCUMENT[name] for name in ("default",)})
    await ledger.activate(version, "before the upgrade")

    with pytest.raises(ParametersOutdated) as refused:
        await source.refresh()
    assert str(refused.value) == (
        f"version {version} can't be used: the parameters were fitted under older formulas of this "
        f"engine (formulas 1, this engine has {FORMULAS}): run `mastery calibrate` and activate "
        "its version, or activate version 1"
    )
    await ledger.activate(1, "back")
    assert (await source.refresh()).version == 1


async def test_given_fixed_parameters_and_another_version_then_it_is_refused() -> None:
    parameters = Parameters(version=3, default=OTHER)
    fixed = versions_of(parameters)

    assert isinstance(fixed, FixedParameters)
    assert await fixed.refresh() is fixed.active is await fixed.switch_to(3) is parameters
    with pytest.raises(ParametersRefused, match=r"version 2 .* only version 3"):
        await fixed.of(2)
    with pytest.raises(ParametersRefused):
        await fixed.switch_to(2)
    assert versions_of(fixed) is fixed


async def test_given_an_absent_ledger_and_retrying_then_it_is_asked_until_back() -> None:
    ledger = CountingLedger()
    source = ParametersSource(ledger, 0.95)
    version = await stored(ledger)
    await ledger.activate(version, "now")
    ledger.away = 2
    patient = RetryingVersions(source, fast_retrying())

    assert (await patient.refresh()).version == version
    assert ledger.away < 0
    assert patient.active is source.active
    assert (await patient.of(1)).version == 1
    assert (await patient.switch_to(1)).version == source.active.version == 1
    ledger.away = 1
    with pytest.raises(LedgerUnavailable):
        await source.refresh()
