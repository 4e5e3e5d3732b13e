"""A batch of stream entries exactly as Redis handed them over.

FastStream's own format is an envelope in the field ``__data__``, and it parses a whole batch as one
JSON document, so that one bad entry fails all of them. Ours are plain fields and are judged one by
one: the parser and the decoder here pass bytes on and look into none.
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
    """One entry of a stream; nothing in it has been looked at."""

    entry_id: str
    """Milliseconds of Redis's clock and a counter, such as ``1795253400123-0``."""
    fields: dict[bytes, bytes]
    redriven_from: str | None = None
    """Of a redriven entry, the id under which its event entered the stream for the first time."""
    deferred_ms: int | None = None
    """Of one that had to wait for a key, since when, by Redis's clock, milliseconds since 1970."""

    @property
    def first_id(self) -> str:
        """The id under which the event entered the stream for the first time."""
        return self.redriven_from or self.entry_id

    @property
    def entered_ms(self) -> int:
        """When this entry entered the stream, by Redis's clock, milliseconds since 1970."""
        return entered_ms(self.entry_id)


class RawBatch(list[RawEntry]):
    """Entries of one stream, in its order.

    Pydantic takes it as it is; what it documents is the event of a single entry, for that is what
    lies on the wire.

    Args:
        stream: where the entries are from.
        entries: the entries.
        deliveries: how often each was delivered, by entry id; of those not named, once.
        alone: whether nothing else may be on its way meanwhile.
        now_ms: when it was taken up, by Redis's clock, milliseconds since 1970; None: nobody asked.
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
        """Some of these entries, with what is known of them."""
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
        # Resolved, because FastStream takes the first definition for the one referred to.
        return handler.resolve_ref_schema(handler(cls.documents.__pydantic_core_schema__))


@cache
def raw_batch_of(event: type[CloudEvent[Any]]) -> type[RawBatch]:
    """The type to annotate a handler with, so that AsyncAPI documents one ``event``."""
    return type(f"{event.__name__}Batch", (RawBatch,), {"documents": event})


async def parse(message: BatchStreamMessage) -> StreamMessage[Any]:
    """FastStream's message around the raw entries; raises on no content whatever.

    `Publisher` acknowledges and publishes in one step. This message belongs to no group, so its own
    ``ack`` does nothing.
    """
    # A pending entry that was deleted meanwhile is claimed with no fields at all.
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
    """The batch that `parse` made."""
    return cast("RawBatch", message.body)
