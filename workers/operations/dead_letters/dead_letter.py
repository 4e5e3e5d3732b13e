"""One dead letter: a rejection in its stream, read as leniently as possible."""

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import orjson
from pydantic_core import from_json

from contracts.streams import EVENT_FIELD, Shard
from workers.common.errors import Refused
from workers.common.times import iso
from workers.identity.claims import tenant_of
from workers.streams.entry_ids import LAST_MS

_FIELD: Final = EVENT_FIELD.encode()
_JOBS: Final = "jobs"
_ID: Final = re.compile(r"(?:(\d{1,4}|jobs):)?(\d{1,20}-\d{1,20})")
OF_JOBS: Final = -1
"""The shard of rejected jobs on a Redis Cluster; ``jobs`` as text."""


class DeadLetterId(NamedTuple):
    """The id of a dead letter: the shard and the id of its entry in the rejected stream."""

    shard: int | None
    """None if there is one stream under its plain name; `OF_JOBS` for the stream of jobs."""
    entry_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id: ``1795253400123-0``, ``3:1795253400123-0`` or ``jobs:1795253400123-0``.

        Raises:
            ValueError: the text is not an id.
        """
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not the id of a dead letter: give one from `mastery rejected list`"
            )
        shard, entry_id = match.groups()
        if shard == _JOBS:
            return cls(OF_JOBS, entry_id)
        return cls(None if shard is None else int(shard), entry_id)

    def __str__(self) -> str:
        if self.shard is None:
            return self.entry_id
        return f"{_JOBS if self.shard == OF_JOBS else self.shard}:{self.entry_id}"


class Claimed(NamedTuple):
    """The learner that a refused event names; None for what can't be read."""

    tenant_id: str | None
    student_id: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused event with the reason.

    Args:
        id: its id.
        shard: the streams of its shard.
        data: the rejection's ``data``; empty if the entry is not a rejection of ours.
        tenant_claim: dotted path of the claim that names the tenant.
        redriven_as: the id of the entry as which it was sent again; None if it was not.
    """

    id: DeadLetterId
    shard: Shard
    data: Mapping[str, Any]
    tenant_claim: str
    redriven_as: str | None = None

    def text(self, name: str) -> str | None:
        """Return a field of the rejection; None unless it is text."""
        value = self.data.get(name)
        return value if isinstance(value, str) else None

    @property
    def code(self) -> str | None:
        """The rejection's code."""
        return self.text("code")

    @property
    def first_entry_id(self) -> str | None:
        """The id under which the event entered its stream for the first time."""
        return self.text("first_entry_id") or self.text("entry_id")

    @property
    def accepted_at(self) -> str | None:
        """The time in `first_entry_id`, by Redis's clock, as RFC 3339 text."""
        return moment_of(self.first_entry_id)

    @property
    def redriven_at(self) -> str | None:
        """The time at which it was sent again, by Redis's clock, as RFC 3339 text."""
        return moment_of(self.redriven_as)

    @property
    def event(self) -> bytes | None:
        """The bytes of the entry's field `event`; None if it had none."""
        if self.data.get("without_event"):
            return None
        if (text := self.text("event")) is not None:
            return text.encode()
        encoded = self.text("event_base64")
        if encoded is None:
            return None
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return None

    def claimed(self) -> Claimed:
        """Return the learner that the event names, unverified; parses the event each time."""
        data = _at(_json(self.event), "data")
        # A rejection of the graph projector holds a mastery event, which names both.
        student = _at(_at(data, "response"), "student_id") or _at(data, "student_id")
        claims = _at(data, "claims")
        tenant = _at(data, "tenant_id")
        if isinstance(claims, dict):
            tenant = None
            with suppress(Refused):
                tenant = tenant_of(claims, self.tenant_claim)
        return Claimed(
            tenant if isinstance(tenant, str) else None,
            student if isinstance(student, str) else None,
        )


def read_dead_letter(
    letter_id: DeadLetterId, shard: Shard, fields: Mapping[bytes, bytes], tenant_claim: str
) -> DeadLetter:
    """Make a dead letter of an entry of a rejected stream, as far as it can be read.

    Args:
        letter_id: its id.
        shard: the streams of its shard.
        fields: the fields of the entry.
        tenant_claim: dotted path of the claim that names the tenant.
    """
    data: Any = None
    with suppress(ValueError, LookupError, TypeError):
        data = orjson.loads(fields[_FIELD])["data"]
    return DeadLetter(letter_id, shard, data if isinstance(data, dict) else {}, tenant_claim)


def moment_of(entry_id: str | None) -> str | None:
    """Return the time in an entry's id as RFC 3339 text; None unless it is before 10000."""
    milliseconds = (entry_id or "").partition("-")[0]
    if not milliseconds.isdecimal() or int(milliseconds) > LAST_MS:
        return None
    return iso(int(milliseconds) * 1000)[:23] + "Z"


def _json(event: bytes | None) -> Any:
    try:
        return from_json(event or b"")
    except ValueError:
        return None


def _at(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
