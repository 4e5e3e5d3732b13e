"""Under which parameters a process computes: those that the ledger says are active.

A version never changes, so it is read once. Which version is active is known from every answer of
the ledger to a batch, and is asked for every few seconds where there are none.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

import structlog

from workers.common.errors import ParametersOutdated, ParametersRefused
from workers.common.retrying import Retrying
from workers.estimation.documents import OlderFormulas, parameters_of
from workers.estimation.parameters import Parameters
from workers.ledger.parameters import BUILT_IN, StoredParameters

_log = structlog.get_logger(__name__)

_KEPT: Final = 4
"""Versions kept in memory besides the built-in one: going back and forth reads none again."""


class Versions(Protocol):
    """Parameters by their versions, and those that are present: under which states are computed.

    What is awaited may raise `LedgerUnavailable`, and `ParametersRefused` for a version that is not
    there or that this engine can't read.
    """

    @property
    def present(self) -> Parameters:
        """Those that were active when the ledger was last heard of."""
        ...

    async def of(self, version: int) -> Parameters:
        """Those of a version."""
        ...

    async def reach(self, version: int) -> Parameters:
        """Make a version the present one: the ledger said that it is active."""
        ...

    async def refresh(self) -> Parameters:
        """Make the version the present one that is active now."""
        ...


class VersionsLedger(Protocol):
    """What is asked of the ledger; see `workers.ledger.parameters.ParametersLedger`."""

    async def active_version(self) -> int:
        """See `ParametersLedger.active_version`."""
        ...

    async def version(self, version: int) -> StoredParameters:
        """See `ParametersLedger.version`."""
        ...


class ParametersSource:
    """The versions of a ledger.

    Before it first heard of the ledger the built-in parameters are present.

    Args:
        ledger: the system of record.
        mastery_threshold: the setting's; no version has one of its own.
    """

    def __init__(self, ledger: VersionsLedger, mastery_threshold: float) -> None:
        self._ledger = ledger
        self._threshold = mastery_threshold
        self._built_in = Parameters(version=BUILT_IN, mastery_threshold=mastery_threshold)
        self._present = self._built_in
        self._known: dict[int, Parameters] = {}

    @property
    def present(self) -> Parameters:
        """See `Versions.present`."""
        return self._present

    async def of(self, version: int) -> Parameters:
        """See `Versions.of`."""
        if version == BUILT_IN:
            return self._built_in
        known = self._known.pop(version, None)
        if known is None:
            known = readable(await self._ledger.version(version), self._threshold)
        # What was asked for last comes last.
        self._known[version] = known
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return known

    async def reach(self, version: int) -> Parameters:
        """See `Versions.reach`."""
        if version != self._present.version:
            found = await self.of(version)
            _log.info("parameters_changed", version=version, before=self._present.version)
            self._present = found
        return self._present

    async def refresh(self) -> Parameters:
        """See `Versions.refresh`."""
        return await self.reach(await self._ledger.active_version())


class FixedParameters:
    """Parameters that follow no ledger: those of a trial."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    @property
    def present(self) -> Parameters:
        """See `Versions.present`."""
        return self._parameters

    async def of(self, version: int) -> Parameters:
        """See `Versions.of`."""
        if version != self._parameters.version:
            raise ParametersRefused(
                f"version {version} of the parameters is wanted, and version "
                f"{self._parameters.version} alone is known here"
            )
        return self._parameters

    async def reach(self, version: int) -> Parameters:
        """See `Versions.reach`."""
        return await self.of(version)

    async def refresh(self) -> Parameters:
        """See `Versions.refresh`."""
        return self._parameters


class RetryingVersions:
    """The same versions for work that waits where the ledger is away.

    Args:
        versions: whose.
        retrying: waits.
    """

    def __init__(self, versions: Versions, retrying: Retrying) -> None:
        self._versions = versions
        self._retrying = retrying

    @property
    def present(self) -> Parameters:
        """See `Versions.present`."""
        return self._versions.present

    async def of(self, version: int) -> Parameters:
        """See `Versions.of`."""
        return await self._call(lambda: self._versions.of(version))

    async def reach(self, version: int) -> Parameters:
        """See `Versions.reach`."""
        return await self._call(lambda: self._versions.reach(version))

    async def refresh(self) -> Parameters:
        """See `Versions.refresh`."""
        return await self._call(self._versions.refresh)

    async def _call(self, call: Callable[[], Awaitable[Parameters]]) -> Parameters:
        return await self._retrying.call(call)


def versions_of(parameters: Parameters | Versions) -> Versions:
    """The versions of a ledger as they are; of parameters alone, these for ever."""
    return FixedParameters(parameters) if isinstance(parameters, Parameters) else parameters


def readable(stored: StoredParameters, mastery_threshold: float) -> Parameters:
    """The parameters of a stored version.

    Raises:
        ParametersOutdated: they were fitted under older formulas.
        ParametersRefused: there is something in its document that this engine does not know:
            whoever guessed would compute states that no other engine gives.
    """
    try:
        parameters = parameters_of(dict(stored.document))
    except OlderFormulas as error:
        raise ParametersOutdated(f"version {stored.version} can't be used: {error}") from error
    except ValueError as error:
        raise ParametersRefused(
            f"version {stored.version} of the parameters can't be read by this version of the "
            f"engine ({error}): upgrade it, or activate another version"
        ) from error
    return replace(parameters, version=stored.version, mastery_threshold=mastery_threshold)
