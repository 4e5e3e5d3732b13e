"""Parameters as plain JSON: what a version is stored as."""

from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workers.estimation.informed import InformedParameters
from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import Deviation, ScaleParameters

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_MODELS: tuple[Any, ...] = (
    BktParameters,
    InformedParameters,
    ItemParameters,
    Deviation,
    ScaleParameters,
    ConceptParameters,
    Parameters,
)
for _one in _MODELS:
    # Set here, so that the models themselves know nothing of documents.
    _one.__pydantic_config__ = _STRICT
_ADAPTER = TypeAdapter(Parameters)


def parameters_document(parameters: Parameters) -> dict[str, Any]:
    """The parameters as JSON values; what is as by default is left out, floats keep their bits."""
    document: dict[str, Any] = _document(parameters)
    return document


def parameters_of(document: object) -> Parameters:
    """The parameters of a document.

    Raises:
        ValueError: naming the first field that is missing, unknown or out of its range.
    """
    try:
        return _ADAPTER.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "parameters"
        raise ValueError(f"{place}: {first['msg']}") from None


def _document(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _document(getattr(value, field.name))
            for field in fields(value)
            if getattr(value, field.name) != field.default
        }
    if isinstance(value, dict):
        return {key: _document(one) for key, one in value.items()}
    return [_document(one) for one in value] if isinstance(value, tuple) else value
