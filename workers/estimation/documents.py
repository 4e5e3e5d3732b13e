"""Parameters as plain JSON: what a version is stored as."""

from dataclasses import fields, is_dataclass
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import ConceptOffset, ScaleParameters

FORMULAS: Final = 2
"""Number of the formulas that give parameters their meaning.

Raise it by 1 with a change under which stored parameters would mean something else: another formula
for mastery, ability or prediction, or another scale of a parameter. Keep it where only a fit finds
other values, or where a new field means by default what was so before.
"""

_FIRST_FORMULAS: Final = 1
"""The formulas of a document without a number."""

_STORED_NAMES: Final = {"concept_offset": "deviation"}
"""Names of fields in documents where they are not those of the models."""


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
    # Set here, so that the models themselves know nothing of documents.
    _model.__pydantic_config__ = _STRICT
_ADAPTER = TypeAdapter(Parameters)


class OlderFormulas(ValueError):
    """Parameters were fitted under formulas that this engine computes by no more.

    Args:
        formulas: their number.
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
        The number of the formulas, and each field that differs from its default; floats keep their
        bits.
    """
    return {"formulas": FORMULAS, **_document(parameters)}


def parameters_of(document: object) -> Parameters:
    """Read parameters that `parameters_document` wrote.

    Raises:
        OlderFormulas: they were fitted under older formulas.
        ValueError: naming the first field that is missing, unknown or out of its range.
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
