"""Turns the difference of two catalogues into the statements of a migration."""

from collections.abc import Iterator

from workers.ledger.schema.catalogue import KINDS, Catalogue, Definition, table_differences


def changes(before: Catalogue, after: Catalogue) -> list[str]:
    """Name every object but the tables that differs, e.g. ``function public.f(jsonb)``."""
    return [
        f"{kind} {name}"
        for kind in KINDS
        for name in sorted(_of(before, kind).keys() | _of(after, kind).keys())
        if _differs(_of(before, kind).get(name), _of(after, kind).get(name))
    ]


def script(before: Catalogue, after: Catalogue) -> str:
    """Write the SQL that changes what `before` defines into what `after` defines.

    Tables are left to a person: a comment names what differs, where the statements belong.
    """
    parts = list(_drops(before, after))
    if by_hand := table_differences(before, after):
        lines = [
            "-- By hand: write the statements that change the tables here, mastery.learners first."
        ]
        parts.append("\n".join([*lines, *(f"--   {line}" for line in by_hand)]))
    parts += _creates(before, after)
    parts.append("notify pgrst, 'reload schema';")
    return "\n\n".join(parts) + "\n"


def _drops(before: Catalogue, after: Catalogue) -> Iterator[str]:
    """Drop policies and triggers first: they may use a column or function that goes."""
    for kind in ("policy", "trigger"):
        for name, old in _of(before, kind).items():
            new = _of(after, kind).get(name)
            if old.drop is not None and (new is None or new.shape != old.shape):
                yield old.drop


def _creates(before: Catalogue, after: Catalogue) -> Iterator[str]:
    for kind in KINDS:
        for name, new in _of(after, kind).items():
            old = _of(before, kind).get(name)
            if kind == "function" and old and old.drop and old.shape != new.shape:
                yield old.drop
            if _differs(old, new) or (kind == "grant" and _made_anew(name, before, after)):
                yield new.create
        if kind == "function":
            yield from (
                old.drop
                for name, old in reversed(_of(before, kind).items())
                if old.drop is not None and name not in _of(after, kind)
            )


def _differs(old: Definition | None, new: Definition | None) -> bool:
    if new is None or old is None:
        return not (new or old).trivial  # type: ignore[union-attr]  # one of them is there
    return new.create != old.create


def _made_anew(name: str, before: Catalogue, after: Catalogue) -> bool:
    """Say whether a function is dropped and created again, which loses its grants."""
    function = name.removeprefix("function ")
    old, new = (_of(catalogue, "function").get(function) for catalogue in (before, after))
    return old is not None and new is not None and old.shape != new.shape


def _of(catalogue: Catalogue, kind: str) -> dict[str, Definition]:
    return catalogue.definitions.get(kind, {})
