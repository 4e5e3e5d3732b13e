"""Read and write parameters as plain JSON, the form in which a version is stored."""

from dataclasses import fields, is_dataclass
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import ConceptOffset, ScaleParameters

FORMULAS: Final = 2
"""Number of the formulas that give parameters their meaning.

Raise it by 1 if a change gives stored parameters another meaning: another formula for mastery,
ability or prediction, or another unit of a parameter. Keep it if only a fit finds other values, or
if a new field's default means what was true before."""

_FIRST_FORMULAS: Final = 1
"""Formulas of a document without a number."""

_STORED_NAMES: Final = {"concept_offset": "deviation"}
"""Names of fields in documents that differ from the names in the models."""


def _stored_name(field: str) -> str:
    return _STORED_NAMES.get(field, field)


_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, alias_generator=_stored_name)
_MODELS: tuple[Any, ...] = (
    BktParameters,
    ItemParameters,
    PredictionWeights,
    ConceptOffset,
    ScaleParameters,
    ConceptParameters,
    Parameters,
)
for _model in _MODELS:
    # Set here, so that the models do not depend on documents.
    _model.__pydantic_config__ = _STRICT
_ADAPTER = TypeAdapter(Parameters)


class OlderFormulas(ValueError):
    """Parameters were fitted under formulas that this engine no longer computes.

    Args:
        formulas: number of these formulas.
    """

    def __init__(self, formulas: int) -> None:
        super().__init__(
            "the parameters were fitted under older formulas of this engine (formulas "
            f"{formulas}, this engine has {FORMULAS}): run `mastery calibrate` and activate its "
            "version, or activate version 1"
        )


def parameters_document(parameters: Parameters) -> dict[str, Any]:
    """Write parameters as JSON values.

    Returns:
        The number of the formulas, and each field that differs from its default. Floats keep their
        bits.
    """
    return {"formulas": FORMULAS, **_document(parameters)}


def parameters_of(document: object) -> Parameters:
    """Read parameters that `parameters_document` wrote.

    Raises:
        OlderFormulas: the parameters were fitted under older formulas.
        ValueError: a field is missing, unknown or out of range; the message names the first one.
    """
    if isinstance(document, dict):
        _check_formulas(document.get("formulas", _FIRST_FORMULAS))
        document = {name: value for name, value in document.items() if name != "formulas"}
    try:
        return _ADAPTER.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "parameters"
        raise ValueError(f"{place}: {first['msg']}") from None


def _check_formulas(formulas: object) -> None:
    if not isinstance(formulas, int) or isinstance(formulas, bool) or formulas < _FIRST_FORMULAS:
        raise ValueError(f"formulas: must be a whole number from 1, not {formulas!r}")
    if formulas < FORMULAS:
        raise OlderFormulas(formulas)
    if formulas > FORMULAS:
        raise ValueError(f"formulas: {formulas} is newer than {FORMULAS}, which this engine has")


def _document(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            _stored_name(field.name): _document(getattr(value, field.name))
            for field in fields(value)
            if getattr(value, field.name) != field.default
        }
    if isinstance(value, dict):
        return {key: _document(entry) for key, entry in value.items()}
    return [_document(entry) for entry in value] if isinstance(value, tuple) else value
