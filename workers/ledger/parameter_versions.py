"""The active parameters of a process, and other versions by their number.

A version never changes, so it is read once. Every ledger answer to a batch names the active
version; without batches the ledger is asked for it every few seconds.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

import structlog
from typing_extensions import override

from workers.common.errors import ParametersOutdated, ParametersRefused
from workers.common.retrying import Retrying
from workers.estimation.documents import OlderFormulas, parameters_of
from workers.estimation.parameters import Parameters
from workers.ledger.parameters import BUILT_IN, StoredParameters

_log = structlog.get_logger(__name__)

_KEPT: Final = 4
"""Versions kept in memory besides the built-in one, so that switching back and forth reads none."""


class Versions(Protocol):
    """The active parameters, and all others by version.

    Every coroutine may raise `LedgerUnavailable`, and `ParametersRefused` for a version that does
    not exist or that this engine can't read.
    """

    @property
    def active(self) -> Parameters:
        """The active parameters; every ledger answer names their version."""
        ...

    async def of(self, version: int) -> Parameters:
        """Read the parameters of a version."""
        ...

    async def switch_to(self, version: int) -> Parameters:
        """Switch to the version that a ledger answer names as active."""
        ...

    async def refresh(self) -> Parameters:
        """Ask the ledger for the active version and switch to it."""
        ...


class VersionsLedger(Protocol):
    """The part of `workers.ledger.parameters.ParametersLedger` that `ParametersSource` uses."""

    async def active_version(self) -> int:
        """Read the number of the active version."""
        ...

    async def version(self, version: int) -> StoredParameters:
        """Read one version with its document."""
        ...


class ParametersSource(Versions):
    """The versions of a ledger.

    Until the ledger has answered once, the built-in parameters are the active ones.

    Args:
        ledger: the system of record.
        mastery_threshold: `MASTERY_THRESHOLD`; versions have none of their own.
    """

    def __init__(self, ledger: VersionsLedger, mastery_threshold: float) -> None:
        self._ledger = ledger
        self._threshold = mastery_threshold
        self._built_in = Parameters(version=BUILT_IN, mastery_threshold=mastery_threshold)
        self._active = self._built_in
        self._known: dict[int, Parameters] = {}

    @property
    @override
    def active(self) -> Parameters:
        return self._active

    @override
    async def of(self, version: int) -> Parameters:
        if version == BUILT_IN:
            return self._built_in
        known = self._known.pop(version, None)
        if known is None:
            known = readable(await self._ledger.version(version), self._threshold)
        # The version used last comes last; the first one is forgotten first.
        self._known[version] = known
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return known

    @override
    async def switch_to(self, version: int) -> Parameters:
        if version != self._active.version:
            parameters = await self.of(version)
            _log.info("parameters_changed", version=version, before=self._active.version)
            self._active = parameters
        return self._active

    @override
    async def refresh(self) -> Parameters:
        return await self.switch_to(await self._ledger.active_version())


class FixedParameters(Versions):
    """Parameters that follow no ledger, such as those of a trial."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    @property
    @override
    def active(self) -> Parameters:
        return self._parameters

    @override
    async def of(self, version: int) -> Parameters:
        if version != self._parameters.version:
            raise ParametersRefused(
                f"version {version} of the parameters is wanted, but only version "
                f"{self._parameters.version} is known here"
            )
        return self._parameters

    @override
    async def switch_to(self, version: int) -> Parameters:
        return await self.of(version)

    @override
    async def refresh(self) -> Parameters:
        return self._parameters


class RetryingVersions(Versions):
    """Versions that wait while the ledger is away instead of raising.

    Args:
        versions: the versions to read.
        retrying: waits.
    """

    def __init__(self, versions: Versions, retrying: Retrying) -> None:
        self._versions = versions
        self._retrying = retrying

    @property
    @override
    def active(self) -> Parameters:
        return self._versions.active

    @override
    async def of(self, version: int) -> Parameters:
        return await self._call(lambda: self._versions.of(version))

    @override
    async def switch_to(self, version: int) -> Parameters:
        return await self._call(lambda: self._versions.switch_to(version))

    @override
    async def refresh(self) -> Parameters:
        return await self._call(self._versions.refresh)

    async def _call(self, call: Callable[[], Awaitable[Parameters]]) -> Parameters:
        return await self._retrying.call(call)


def versions_of(parameters: Parameters | Versions) -> Versions:
    """Wrap plain parameters as `FixedParameters`; return versions as they are."""
    return FixedParameters(parameters) if isinstance(parameters, Parameters) else parameters


def readable(stored: StoredParameters, mastery_threshold: float) -> Parameters:
    """Read the parameters of a stored version.

    Raises:
        ParametersOutdated: they were fitted under older formulas.
        ParametersRefused: its document has something that this engine does not know; guessing
            would give states that no other engine gives.
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
