"""Write results of a stage as JSON text and read them back, to the last bit."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np
import orjson

from workers.estimation.documents import parameters_document, parameters_of
from workers.modelling.calibration.ability.filter import AbilityModel
from workers.modelling.calibration.ability.fit import AbilityFit
from workers.modelling.calibration.ability.items import Items
from workers.modelling.calibration.combined.fit import PartFit
from workers.modelling.calibration.fitted import Fitted

_KINDS: Final = {kind.__name__: kind for kind in (AbilityFit, AbilityModel, Items, PartFit)}
_KIND, _ARRAY, _DATA, _SHAPE = "@", "array", "data", "shape"


def packed(value: AbilityFit | PartFit | None) -> str:
    """Write a fit of ability or of a part as text."""
    return orjson.dumps(_plain(value)).decode()


def unpacked(text: str) -> Any:
    """Read what `packed` wrote.

    Raises:
        ValueError: the text is from another version of the engine.
    """
    try:
        return _whole(orjson.loads(text))
    except (KeyError, TypeError) as error:
        raise ValueError(f"the stage is from another version of the engine: {error!r}") from error


def packed_fit(fitted: Fitted) -> str:
    """Write fitted parameters as text."""
    return orjson.dumps(
        {
            "parameters": parameters_document(fitted.parameters),
            "log_likelihood": dict(fitted.log_likelihood),
            "warnings": list(fitted.warnings),
            "item_errors": dict(fitted.item_errors),
        }
    ).decode()


def unpacked_fit(text: str) -> Fitted:
    """Read what `packed_fit` wrote.

    Raises:
        ValueError: the text is from another version of the engine.
    """
    try:
        document = orjson.loads(text)
        return Fitted(
            parameters_of(document["parameters"]),
            document["log_likelihood"],
            document["warnings"],
            document["item_errors"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the stage is from another version of the engine: {error!r}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {_ARRAY: value.dtype.str, _SHAPE: value.shape, _DATA: value.ravel().tolist()}
    if is_dataclass(value):
        inner = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {_KIND: type(value).__name__, **inner}
    return value


def _whole(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if _ARRAY in value:
        return np.array(value[_DATA], dtype=value[_ARRAY]).reshape(value[_SHAPE])
    inner = {name: _whole(entry) for name, entry in value.items() if name != _KIND}
    return _KINDS[value[_KIND]](**inner)
