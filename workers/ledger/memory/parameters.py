"""Versions of parameters in memory: as the SQL functions keep them."""

import json
import time
from collections.abc import Mapping
from typing import Any

from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.memory.accounts import Account
from workers.ledger.parameters import (
    BUILT_IN,
    BUILT_IN_PARAMETERS,
    LENGTHY,
    Activation,
    Outdated,
    ParametersVersion,
    StoredParameters,
    stored_document,
)
from workers.ledger.sql.parameters import no_such_version


class MemoryParameters:
    """`ParametersLedger` in the memory of one process."""

    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[LearnerKey, Account] = {}
        self._parameters: dict[int, StoredParameters] = {BUILT_IN: BUILT_IN_PARAMETERS}
        self._activation = Activation(BUILT_IN, None, None)

    async def active_version(self) -> int:
        """See `ParametersLedger.active_version`."""
        return self._activation.version

    async def activation(self) -> Activation:
        """See `ParametersLedger.activation`."""
        return self._activation

    async def version(self, version: int) -> StoredParameters:
        """See `ParametersLedger.version`."""
        if version not in self._parameters:
            raise no_such_version(version)
        return self._parameters[version]

    async def versions(self) -> list[ParametersVersion]:
        """See `ParametersLedger.versions`."""
        return [
            ParametersVersion(
                one.version,
                one.model,
                one.note,
                one.created_at,
                {name: told for name, told in one.diagnostics.items() if name not in LENGTHY},
            )
            for one in self._parameters.values()
        ]

    async def store(
        self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
    ) -> int:
        """See `ParametersLedger.store`."""
        version = max(self._parameters) + 1
        # As JSON carries it, so that nobody holds on to what is stored.
        kept, found = (json.loads(json.dumps(dict(one))) for one in (document, diagnostics))
        self._parameters[version] = StoredParameters(
            version, model, note, _now(), found, stored_document(kept)
        )
        return version

    async def activate(
        self, version: int, reason: str, *, expected: Activation | None = None
    ) -> bool:
        """See `ParametersLedger.activate`."""
        if version not in self._parameters:
            raise no_such_version(version)
        if expected is None or expected[:2] == self._activation[:2]:
            self._activation = Activation(version, _now(), reason)
        return self._activation.version == version

    async def outdated(self, after: Outdated | None = None, limit: int = 500) -> list[Outdated]:
        """See `ParametersLedger.outdated`."""
        found = (one for one in self._outdated() if after is None or one > after)
        return sorted(found)[:limit]

    async def outdated_count(self) -> int:
        """See `ParametersLedger.outdated_count`."""
        return len(self._outdated())

    def _outdated(self) -> list[Outdated]:
        return [
            Outdated(account.parameters_version, key)
            for key, account in self._accounts.items()
            if account.parameters_version != self._activation.version and account.version > 0
        ]


def _now() -> str:
    return iso(time.time_ns() // 1_000)
