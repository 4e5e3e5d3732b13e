"""A batch of stream entries as raw bytes.

FastStream's own format is an envelope in the field ``__data__``. It parses a whole batch as one
JSON document, so one bad entry fails all of them. Our entries are plain fields and are validated
one by one: the parser and the decoder here pass the bytes on unread.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple, cast

from faststream.message import StreamMessage
from faststream.redis.message import FAKE_CONSUMER, BatchStreamMessage, RedisBatchStreamMessage
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from contracts.envelope import CloudEvent
from workers.common.text import text_of
from workers.streams.entry_ids import entered_ms


class RawEntry(NamedTuple):
    """One entry of a stream, not validated yet."""

    entry_id: str
    """Milliseconds of Redis's clock and a counter, such as ``1795253400123-0``."""
    fields: dict[bytes, bytes]
    redriven_from: str | None = None
    """First entry id of a redriven event; None for an entry that was not redriven."""
    deferred_ms: int | None = None
    """Time at which the wait for a key began, by Redis's clock, milliseconds since 1970."""

    @property
    def first_id(self) -> str:
        """Return the id under which the event entered the stream for the first time."""
        return self.redriven_from or self.entry_id

    @property
    def entered_ms(self) -> int:
        """Return when the entry entered the stream, by Redis's clock, milliseconds since 1970."""
        return entered_ms(self.entry_id)


class RawBatch(list[RawEntry]):
    """Entries of one stream, in stream order.

    Pydantic accepts an instance unchanged. Its schema is the event of a single entry, because
    AsyncAPI documents what is on the wire.

    Args:
        stream: name of the stream.
        entries: the entries.
        deliveries: number of deliveries by entry id; 1 for an id that is missing.
        alone: True if nothing else may be in flight at the same time.
        now_ms: when the batch was taken up, by Redis's clock, milliseconds since 1970; None if
            Redis's clock was not read.
    """

    documents: ClassVar[type[CloudEvent[Any]] | None] = None

    def __init__(
        self,
        stream: str,
        entries: Sequence[RawEntry],
        *,
        deliveries: Mapping[str, int] | None = None,
        alone: bool = False,
        now_ms: int | None = None,
    ) -> None:
        super().__init__(entries)
        self.stream = stream
        self.deliveries: Mapping[str, int] = deliveries or {}
        self.alone = alone
        self.now_ms = now_ms

    def part(self, entries: Sequence[RawEntry]) -> "RawBatch":
        """Return a batch of some of these entries, with the same facts about them."""
        return RawBatch(
            self.stream,
            entries,
            deliveries=self.deliveries,
            alone=self.alone,
            now_ms=self.now_ms,
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if cls.documents is None:
            return {}
        # Inlined, because FastStream takes the first definition for the referenced one.
        return handler.resolve_ref_schema(handler(cls.documents.__pydantic_core_schema__))


@cache
def raw_batch_of(event: type[CloudEvent[Any]]) -> type[RawBatch]:
    """Build the annotation of a handler with which AsyncAPI documents one ``event``."""
    return type(f"{event.__name__}Batch", (RawBatch,), {"documents": event})


async def parse(message: BatchStreamMessage) -> StreamMessage[Any]:
    """Wrap the raw entries in FastStream's message; no content raises an error.

    `Publisher` acknowledges and publishes in one step. This message belongs to no group, so its own
    ``ack`` does nothing.
    """
    # A pending entry that was deleted in the meantime is claimed with no fields.
    batch = RawBatch(
        text_of(message["channel"]),
        [
            RawEntry(text_of(entry_id), fields or {})
            for entry_id, fields in zip(message["message_ids"], message["data"], strict=True)
        ],
    )
    first = batch[0].entry_id if batch else "0-0"
    return RedisBatchStreamMessage(
        raw_message=message,
        body=batch,
        message_id=first,
        correlation_id=f"{batch.stream}/{first}",
        consumer=FAKE_CONSUMER,
        group=None,
    )


async def decode(message: StreamMessage[Any]) -> RawBatch:
    """Return the batch that `parse` made."""
    return cast("RawBatch", message.body)
