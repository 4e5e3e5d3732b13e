"""Parameters of concepts and items as columns of text."""

from collections.abc import Iterator, Mapping
from typing import Final

from workers.cli.columns import columns
from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters, Parameters

_TRACING: Final = ("prior", "learn", "guess", "slip", "forget")


def tables(parameters: Parameters, most: int) -> Iterator[str]:
    """Yield the concepts, the default, and the items with parameters of their own.

    Args:
        parameters: a version.
        most: at most this many concepts and this many items, in the order of their ids.
    """
    yield from _of_concepts(parameters, most)
    if parameters.items:
        yield ""
        yield from _of_items(parameters.items, most)


def _of_concepts(parameters: Parameters, most: int) -> Iterator[str]:
    names = sorted(parameters.concepts)
    tracing = [(name, parameters.of_concept(name)) for name in names[:most]]
    offsets = {name: parameters.concepts[name].item for name in names[:most]}
    heads = ["concept", *_TRACING]
    decaying = any(bkt.decay_per_day for _, bkt in tracing)
    located = any(item is not None for item in offsets.values())
    heads += ["decay/day"] if decaying else []
    heads += ["difficulty"] if located else []
    rows = []
    for name, bkt in tracing:
        item = offsets[name]
        row = [name, *_numbers(bkt)]
        row += [_decimal(bkt.decay_per_day)] if decaying else []
        row += ["-" if item is None else _signed(item.location)] if located else []
        rows.append(row)
    default = ["(any other)", *_numbers(parameters.default)]
    default += [_decimal(parameters.default.decay_per_day)] if decaying else []
    rows.append(default + (["-"] if located else []))
    yield from columns(heads, rows, right=heads[1:])
    yield from _left(len(names), most, "concepts")


def _of_items(items: Mapping[str, ItemParameters], most: int) -> Iterator[str]:
    names = sorted(items)
    chosen = [(name, items[name]) for name in names[:most]]
    heads = ["item", "difficulty", "discrimination"]
    own = any(item.guess is not None for _, item in chosen)
    bounded = any((item.lower, item.upper) != (0.0, 1.0) for _, item in chosen)
    heads += ["lower", "upper"] if bounded else []
    heads += ["guess", "slip"] if own else []
    rows = []
    for name, item in chosen:
        row = [name, _signed(item.location), _decimal(item.discrimination)]
        row += [_decimal(item.lower), _decimal(item.upper)] if bounded else []
        row += [_optional(item.guess), _optional(item.slip)] if own else []
        rows.append(row)
    yield from columns(heads, rows, right=heads[1:])
    yield from _left(len(names), most, "items")


def _left(count: int, most: int, what: str) -> Iterator[str]:
    if count > most:
        yield f"… and {count - most:,} more {what}: give --show {count}, or --json"


def _numbers(bkt: BktParameters) -> list[str]:
    return [_decimal(getattr(bkt, name)) for name in _TRACING]


def _decimal(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _optional(value: float | None) -> str:
    return "-" if value is None else _decimal(value)
