"""Versions of the parameters of a ledger in memory."""

import time
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from workers.common.times import iso
from workers.ledger.memory.accounts import copied
from workers.ledger.memory.tables import MemoryTables
from workers.ledger.parameters import (
    Activation,
    Outdated,
    ParametersLedger,
    ParametersVersion,
    StoredParameters,
    no_such_version,
    stored_document,
)


class MemoryParameters(MemoryTables, ParametersLedger):
    """Stores and activates versions as the SQL functions do."""

    @override
    async def active_version(self) -> int:
        return self._activation.version

    @override
    async def activation(self) -> Activation:
        return self._activation

    @override
    async def version(self, version: int) -> StoredParameters:
        if version not in self._parameters:
            raise no_such_version(version)
        return self._parameters[version]

    @override
    async def versions(self) -> list[ParametersVersion]:
        return [stored.listed() for stored in self._parameters.values()]

    @override
    async def store(
        self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
    ) -> int:
        version = max(self._parameters) + 1
        self._parameters[version] = StoredParameters(
            version, model, note, _now(), copied(diagnostics), stored_document(copied(document))
        )
        return version

    @override
    async def activate(
        self, version: int, reason: str, *, expected: Activation | None = None
    ) -> bool:
        if version not in self._parameters:
            raise no_such_version(version)
        latest = self._activation
        if expected is None or expected._replace(reason=latest.reason) == latest:
            self._activation = Activation(version, _now(), reason)
        return self._activation.version == version

    @override
    async def outdated(self, after: Outdated | None = None, limit: int = 500) -> list[Outdated]:
        return sorted(o for o in self._outdated() if after is None or o > after)[:limit]

    @override
    async def outdated_count(self) -> int:
        return len(self._outdated())

    def _outdated(self) -> list[Outdated]:
        return [
            Outdated(account.parameters_version, key)
            for key, account in self._accounts.items()
            if account.parameters_version != self._activation.version and account.version > 0
        ]


def _now() -> str:
    return iso(time.time_ns() // 1_000)
