"""Stored versions of the parameters, and the active one.

Version 1 is the built-in classical one, `Parameters(version=1)`. It is active until another version
is activated, and is not stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from workers.common.errors import ParametersRefused
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters

BUILT_IN: Final = 1
"""The version of the built-in parameters."""

LENGTHY: Final = ("concepts", "items", "warnings")
"""Diagnostics of up to a megabyte: read with one version, left out of the list of all."""


@dataclass(frozen=True, slots=True)
class ParametersVersion:
    """A version without its document.

    Args:
        version: 1 for the built-in parameters, else 2 or more.
        model: the name of the model, such as ``bkt``.
        note: a remark for people.
        created_at: time of storing, RFC 3339 in UTC; None for the built-in one.
        diagnostics: measures of the fit, as JSON.
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
        document: the parameters as `workers.estimation.documents` writes them, without version and
            threshold.
    """

    document: Mapping[str, Any] = field(default_factory=dict)

    def listed(self) -> ParametersVersion:
        """Leave out the document and `LENGTHY` diagnostics."""
        diagnostics = {k: v for k, v in self.diagnostics.items() if k not in LENGTHY}
        return ParametersVersion(self.version, self.model, self.note, self.created_at, diagnostics)


class Activation(NamedTuple):
    """The activation of a version."""

    version: int
    activated_at: str | None
    """RFC 3339 in UTC; None for the built-in version if nobody activated it."""
    reason: str | None


class Outdated(NamedTuple):
    """A learner with a state under another version than the active one."""

    parameters_version: int
    key: LearnerKey


def stored_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not stored of a document: its version and threshold."""
    return {k: v for k, v in document.items() if k not in {"version", "mastery_threshold"}}


BUILT_IN_PARAMETERS: Final = StoredParameters(
    BUILT_IN,
    "classical",
    "built in: the same for every concept and item",
    None,
    document=stored_document(parameters_document(Parameters())),
)


def no_such_version(version: int) -> ParametersRefused:
    """Make the error for a version that does not exist."""
    return ParametersRefused(
        f"there is no version {version} of the parameters: `mastery parameters list` names those "
        "that are"
    )


class ParametersLedger(Protocol):
    """Stores and activates versions of the parameters; they belong to no tenant."""

    async def active_version(self) -> int:
        """Read the number of the active version."""
        ...

    async def activation(self) -> Activation:
        """Read the activation of the active version."""
        ...

    async def version(self, version: int) -> StoredParameters:
        """Read one version with its document.

        Raises:
            ParametersRefused: there is no such version, or its document was altered.
        """
        ...

    async def versions(self) -> list[ParametersVersion]:
        """List all versions as `StoredParameters.listed` does, the built-in one first."""
        ...

    async def store(
        self, model: str, document: Mapping[str, Any], diagnostics: Mapping[str, Any], note: str
    ) -> int:
        """Store a new version; nothing uses it until it is activated.

        Repeating a call with an unknown result is safe: the version is stored twice at most.

        Args:
            model: the name of the model, not empty.
            document: the parameters as `workers.estimation.documents` writes them; their version
                and threshold are left out, for the ledger gives the version and the threshold is
                a setting.
            diagnostics: measures of the fit, as JSON.
            note: a remark for people.

        Returns:
            The new version, 2 or more, higher than all before.
        """
        ...

    async def activate(
        self, version: int, reason: str, *, expected: Activation | None = None
    ) -> bool:
        """Make a version the active one; repeating it is allowed.

        Args:
            version: the version to activate.
            reason: a remark for people who list versions.
            expected: change nothing unless this is the latest activation (reasons are not
                compared); None activates in any case.

        Returns:
            True if that version is the active one now.

        Raises:
            ParametersRefused: there is no such version.
        """
        ...

    async def outdated(self, after: Outdated | None = None, limit: int = 500) -> list[Outdated]:
        """List a page of learners with a state under another version than the active one.

        They come in the order of version and key.
        """
        ...

    async def outdated_count(self) -> int:
        """Count these learners."""
        ...
