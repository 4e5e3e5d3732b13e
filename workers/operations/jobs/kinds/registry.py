"""The registry of job kinds: the kind `x` of `contracts.jobs.JobKind` is the module `kinds.x`."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, get_args

import orjson
from pydantic import ValidationError

from contracts.jobs import JobKind
from workers.admission.reasons import reason_of
from workers.operations.jobs.kinds.kind import Kind, Parameters

KINDS: Final[Mapping[str, Kind[Any]]] = MappingProxyType(
    {name: import_module(f"{__package__}.{name}").KIND for name in get_args(JobKind)}
)
"""All kinds by name."""


def parameters_of(kind: JobKind, given: dict[str, Any]) -> Parameters:
    """Validate the parameters of a job.

    Raises:
        ValueError: naming field, value and remedy.
    """
    try:
        orjson.dumps(given)
    except orjson.JSONEncodeError as error:
        raise ValueError(
            f"parameters can't be kept ({error}): write integers of at most 64 bits, and nest less"
        ) from None
    try:
        parameters: Parameters = KINDS[kind].parameters.model_validate(given)
    except ValidationError as error:
        raise ValueError(reason_of(error, below="parameters")) from None
    return parameters
