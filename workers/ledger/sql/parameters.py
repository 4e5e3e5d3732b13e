"""Versions of the parameters over their SQL functions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from typing_extensions import override

from workers.common.errors import ParametersRefused
from workers.common.times import iso, to_us
from workers.estimation.learner import LearnerKey
from workers.ledger.parameters import (
    BUILT_IN,
    BUILT_IN_PARAMETERS,
    Activation,
    Outdated,
    ParametersLedger,
    ParametersVersion,
    StoredParameters,
    no_such_version,
    stored_document,
)
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.documents import Document
from workers.ledger.sql.functions import SqlFunctions


class SqlParameters(SqlFunctions, ParametersLedger):
    """Calls the functions of parameters."""

    @override
    async def active_version(self) -> int:
        return (await self.activation()).version

    @override
    async def activation(self) -> Activation:
        # No version has number 0: the answer has the activation and no version.
        answer = await self._call("mastery_parameters", {"version": 0})
        with as_promised("mastery_parameters"):
            version, at_us, reason = answer["active"]
            return Activation(int(version), None if at_us is None else iso(at_us), reason)

    @override
    async def version(self, version: int) -> StoredParameters:
        if version == BUILT_IN:
            return BUILT_IN_PARAMETERS
        answer = await self._call("mastery_parameters", {"version": version})
        with as_promised("mastery_parameters"):
            versions = [_read_version(*row) for row in answer["versions"]]
        if not versions:
            raise no_such_version(version)
        ((stored, intact),) = versions
        if not intact:
            raise ParametersRefused(
                f"version {version} of the parameters is not what was stored: restore its row of "
                "mastery.parameters from a backup, or activate another version"
            )
        return stored

    @override
    async def versions(self) -> list[ParametersVersion]:
        answer = await self._call("mastery_parameters", {})
        with as_promised("mastery_parameters"):
            stored = [_read_version(*row)[0] for row in answer["versions"]]
        return [version.listed() for version in (BUILT_IN_PARAMETERS, *stored)]

    @override
    async def store(
        self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
    ) -> int:
        request = {
            "model": model,
            "document": stored_document(document),
            "diagnostics": dict(diagnostics),
            "note": note,
        }
        answer = await self._call("mastery_store_parameters", request)
        with as_promised("mastery_store_parameters"):
            return int(answer[0])

    @override
    async def activate(
        self, version: int, reason: str, *, expected: Activation | None = None
    ) -> bool:
        request: Document = {"version": version, "reason": reason}
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

    @override
    async def outdated(self, after: Outdated | None = None, limit: int = 500) -> list[Outdated]:
        request: Document = {"limit": limit}
        if after is not None:
            request |= {
                "after_version": after.parameters_version,
                "after_tenant": after.key.tenant_id,
                "after_student": after.key.student_id,
            }
        page = await self._call("mastery_outdated", request)
        with as_promised("mastery_outdated"):
            return [Outdated(version, LearnerKey(*key)) for version, *key in page]

    @override
    async def outdated_count(self) -> int:
        answer = await self._call("mastery_outdated", {"count": True})
        with as_promised("mastery_outdated"):
            return int(answer[0])


def _read_version(  # noqa: PLR0917  # the columns of a row, in the order of the function
    version: int,
    model: str,
    note: str,
    created_at_us: int,
    diagnostics: Mapping[str, Any],
    document: Mapping[str, Any],
    intact: bool,
) -> tuple[StoredParameters, bool]:
    stored = StoredParameters(
        int(version), model, note, iso(created_at_us), dict(diagnostics), document
    )
    return stored, intact
