"""Values that options accept.

They repeat definitions of the engine, so that help and completion need not import the engine; a
test compares the two.
"""

from enum import StrEnum
from typing import Final, Literal


class Role(StrEnum):
    """A role of the worker: see `workers.app.worker.Role`."""

    ENGINE = "engine"
    GRAPH = "graph"
    JOBS = "jobs"
    HTTP = "http"


class RejectionCode(StrEnum):
    """A reason for a rejection: see `contracts.rejections.RejectionCode`."""

    INVALID = "invalid"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    POISON = "poison"


Activate = Literal["if-better", "always", "never"]
"""See `workers.modelling.calibration_run.request.Activate`."""

MODELS: Final = (
    "bkt-irt",
    "classical",
    "bkt",
    "bkt-forgets",
    "kt-idem",
    "1pl",
    "2pl",
    "3pl",
    "4pl",
    "graded",
    "partial-credit",
    "irt",
)
"""See `workers.modelling.calibration.fitting.MODELS`."""
PARTIAL_CREDIT_MODELS: Final = ("graded", "partial-credit")
"""Models that equal the 2PL unless some scores are partial."""
DEFAULT_MODEL: Final = "bkt-irt"
DEFAULT_TENANT: Final = "default"
