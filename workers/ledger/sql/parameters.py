"""Versions of parameters over their SQL functions, whatever carries the call.

``supabase/schemas/17_parameters.sql`` describes the documents.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from workers.common.errors import ParametersRefused
from workers.common.times import iso, to_us
from workers.estimation.learner import LearnerKey
from workers.ledger.parameters import (
    BUILT_IN,
    BUILT_IN_PARAMETERS,
    Activation,
    Outdated,
    ParametersVersion,
    StoredParameters,
    stored_document,
)
from workers.ledger.sql.answers import as_promised


class SqlParameters(ABC):
    """`workers.ledger.parameters.ParametersLedger` on the functions of the migrations."""

    @abstractmethod
    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        """Call a function with a document; raise `LedgerUnavailable` and its like."""

    async def active_version(self) -> int:
        """See `ParametersLedger.active_version`."""
        return (await self.activation()).version

    async def activation(self) -> Activation:
        """See `ParametersLedger.activation`."""
        # Of no version there is: none but what is active is wanted.
        answer = await self._call("mastery_parameters", {"version": 0})
        with as_promised("mastery_parameters"):
            version, at_us, reason = answer["active"]
            return Activation(int(version), None if at_us is None else iso(at_us), reason)

    async def version(self, version: int) -> StoredParameters:
        """See `ParametersLedger.version`."""
        if version == BUILT_IN:
            return BUILT_IN_PARAMETERS
        answer = await self._call("mastery_parameters", {"version": version})
        with as_promised("mastery_parameters"):
            found = [(StoredParameters(*_told(row), row[5]), row[6]) for row in answer["versions"]]
        if not found:
            raise no_such_version(version)
        ((stored, intact),) = found
        if not intact:
            raise ParametersRefused(
                f"version {version} of the parameters is not what was stored: restore its row of "
                "mastery.parameters from a backup, or activate another version"
            )
        return stored

    async def versions(self) -> list[ParametersVersion]:
        """See `ParametersLedger.versions`."""
        answer = await self._call("mastery_parameters", {})
        with as_promised("mastery_parameters"):
            listed = [ParametersVersion(*_told(row)) for row in answer["versions"]]
        return [_without_document(BUILT_IN_PARAMETERS), *listed]

    async def store(
        self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
    ) -> int:
        """See `ParametersLedger.store`."""
        request = {
            "model": model,
            "document": stored_document(document),
            "diagnostics": dict(diagnostics),
            "note": note,
        }
        answer = await self._call("mastery_store_parameters", request)
        with as_promised("mastery_store_parameters"):
            return int(answer[0])

    async def activate(
        self, version: int, reason: str, *, expected: Activation | None = None
    ) -> bool:
        """See `ParametersLedger.activate`."""
        request: dict[str, Any] = {"version": version, "reason": reason}
        if expected is not None:
            at = expected.activated_at
            at_us = None if at is None else to_us(datetime.fromisoformat(at))
            request["expected"] = [expected.version, at_us]
        answer = await self._call("mastery_activate_parameters", request)
        with as_promised("mastery_activate_parameters"):
            active, known = answer
            active = int(active)
        if not known:
            raise no_such_version(version)
        return active == version

    async def outdated(self, after: Outdated | None = None, limit: int = 500) -> list[Outdated]:
        """See `ParametersLedger.outdated`."""
        request: dict[str, Any] = {"limit": limit}
        if after is not None:
            request |= {
                "after_version": after.parameters_version,
                "after_tenant": after.key.tenant_id,
                "after_student": after.key.student_id,
            }
        page = await self._call("mastery_outdated", request)
        with as_promised("mastery_outdated"):
            return [Outdated(version, LearnerKey(*key)) for version, *key in page]

    async def outdated_count(self) -> int:
        """See `ParametersLedger.outdated_count`."""
        answer = await self._call("mastery_outdated", {"count": True})
        with as_promised("mastery_outdated"):
            return int(answer[0])


def no_such_version(version: int) -> ParametersRefused:
    """Why a version can't be used that is not there."""
    return ParametersRefused(
        f"there is no version {version} of the parameters: `mastery parameters list` names those "
        "that are"
    )


def _told(row: list[Any]) -> tuple[int, str, str, str, dict[str, Any]]:
    version, model, note, created_at_us, diagnostics = row[:5]
    return int(version), model, note, iso(created_at_us), dict(diagnostics)


def _without_document(one: StoredParameters) -> ParametersVersion:
    return ParametersVersion(one.version, one.model, one.note, one.created_at, one.diagnostics)
