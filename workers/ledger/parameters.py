"""What the system of record keeps of parameters: their versions, and which of them is active.

Version 1 is the built-in classical one, `Parameters(version=1)`: it is active until another is, and
is stored nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters

BUILT_IN: Final = 1
"""The version of the built-in parameters."""

LENGTHY: Final = ("concepts", "items", "warnings")
"""Diagnostics of which there may be a megabyte: told of one version, not in a list of all."""


@dataclass(frozen=True, slots=True)
class ParametersVersion:
    """What is told of a version without its document.

    Args:
        version: 1 for the built-in parameters, else 2 or more.
        model: the name of the model, such as ``bkt``.
        note: what a person should know of it.
        created_at: when it was stored, RFC 3339 in UTC; None for the built-in one.
        diagnostics: what was found out about it when it was fitted, as JSON.
    """

    version: int
    model: str
    note: str
    created_at: str | None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredParameters(ParametersVersion):
    """A version with its document.

    Args:
        document: as `workers.estimation.documents` writes it, without version and threshold.
    """

    document: Mapping[str, Any] = field(default_factory=dict)


class Activation(NamedTuple):
    """Which version is active, and since when."""

    version: int
    activated_at: str | None
    """RFC 3339 in UTC; None for the built-in one that nobody activated."""
    reason: str | None


class Outdated(NamedTuple):
    """A learner whose state is under another version than the active one."""

    parameters_version: int
    key: LearnerKey


def stored_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of a document."""
    return {k: v for k, v in document.items() if k not in {"version", "mastery_threshold"}}


BUILT_IN_PARAMETERS: Final = StoredParameters(
    BUILT_IN,
    "classical",
    "built in: the same for every concept and item",
    None,
    document=stored_document(parameters_document(Parameters())),
)


class ParametersLedger(Protocol):
    """The system of record for versions of parameters; they belong to no tenant."""

    async def active_version(self) -> int:
        """The version under which states are wanted."""
        ...

    async def activation(self) -> Activation:
        """The same, with its circumstances."""
        ...

    async def version(self, version: int) -> StoredParameters:
        """One version with its document.

        Raises:
            ParametersRefused: there is no such version, or it is not what was stored.
        """
        ...

    async def versions(self) -> list[ParametersVersion]:
        """All versions, the built-in one first, without their documents.

        Of their diagnostics `LENGTHY` are left out.
        """
        ...

    async def store(
        self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
    ) -> int:
        """Store a new version, which nothing uses before it is activated.

        Repeating a call whose outcome is unknown is safe: the version is stored twice at most.

        Args:
            model: the name of the model, not empty.
            document: as `workers.estimation.documents` writes it; a version and a threshold in it
                are left out, for the one is the ledger's to give and the other is a setting.
            diagnostics: what was found out about it, as JSON.
            note: what a person should know of it.

        Returns:
            Its version, 2 or more, higher than all before.
        """
        ...

    async def activate(
        self, version: int, reason: str, *, expected: Activation | None = None
    ) -> bool:
        """Say under which version states are wanted from now on; again, if it is so already.

        Args:
            version: which one.
            reason: why, for those who list versions.
            expected: nothing changes unless this activation is the latest one (its reason is of no
                matter); None: whatever is active.

        Returns:
            Whether that version is the active one now.

        Raises:
            ParametersRefused: there is no such version.
        """
        ...

    async def outdated(self, after: Outdated | None = None, limit: int = 500) -> list[Outdated]:
        """A page of the learners whose state is under another version than the active one.

        In the order of version and key.
        """
        ...

    async def outdated_count(self) -> int:
        """How many learners these are."""
        ...
