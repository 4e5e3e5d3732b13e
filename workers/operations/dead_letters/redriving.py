"""Send dead letters again: the same bytes, once, judged by their first acceptance."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD, JOBS
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId, moment_of
from workers.operations.dead_letters.outcome import Fate, Outcome, by_shard
from workers.operations.dead_letters.reading import redriven_key
from workers.streams.redis_errors import redis_errors
from workers.streams.redriven import MARKER, accepted_key

_SCRIPT: Final = (Path(__file__).parent / "redrive.lua").read_text()
_CHUNK_LETTERS: Final = 200
_CHUNK_BYTES: Final = 4_000_000
"""A script blocks the server while it runs; this much takes a few milliseconds."""
_ENTRY_ID: Final = re.compile(r"\d{1,20}-\d{1,20}")
_FATES: Final = {b"sent": Fate.REDRIVEN, b"known": Fate.ALREADY_REDRIVEN, b"gone": Fate.MISSING}


def obstacle(letter: DeadLetter) -> str | None:
    """Return why a letter can't be sent again, with the remedy; None if it can."""
    stream = letter.text("stream")
    first = letter.first_entry_id
    if stream is None or first is None or not _ENTRY_ID.fullmatch(first):
        return "it is not a rejection of this engine: look at it with `mastery rejected show`"
    if stream == letter.shard.mastery:
        return (
            f"it comes from {stream}, where all subscribers would see the event twice: "
            "`mastery reconcile` repairs the graph from the ledger instead"
        )
    if stream == JOBS or stream != letter.shard.responses:
        remedy = (
            "ask for the job again, with POST /v1/jobs"
            if stream == JOBS
            else "set STREAM_SHARDS as it was when it was rejected"
        )
        return f"it comes from {stream}, not from {letter.shard.responses}: {remedy}"
    if letter.event is None:
        return "its entry had no field `event`: publish the response again, as a CloudEvent"
    if moment_of(first) is None:
        return (
            f"the id of its entry, {first}, is not a time, so it is unknown when it was accepted: "
            "publish the response again"
        )
    return None


def preview(letters: Sequence[DeadLetter]) -> list[Outcome]:
    """Return what `Redriver.redrive` would do now, without writing."""
    return [
        _known(letter) or _refused(letter) or Outcome(letter, Fate.REDRIVEN) for letter in letters
    ]


class Redriver:
    """Sends dead letters again.

    The event enters its stream again with the same bytes. A letter is sent once, however often
    it is redriven: one step notes it as redriven, adds it to the stream, and notes the first
    acceptance of the new entry (`workers.streams.redriven`).

    Args:
        client: a connection to the Redis of the streams.
    """

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(_SCRIPT)

    async def redrive(self, letters: Sequence[DeadLetter]) -> list[Outcome]:
        """Send the letters that can be sent and were not yet; safe to repeat.

        Raises:
            RedisUnavailable: Redis is away; some may have been sent, and are not sent again.
            StreamRefused: a key is not what it must be.
        """
        outcomes: dict[DeadLetterId, Outcome] = {}
        sendable = []
        for letter in letters:
            outcome = _known(letter) or _refused(letter)
            if outcome is None:
                sendable.append(letter)
            else:
                outcomes[letter.id] = outcome
        for chunk in _chunks(sendable):
            outcomes |= {outcome.letter.id: outcome for outcome in await self._send(chunk)}
        return [outcomes[letter.id] for letter in letters]

    async def _send(self, chunk: Sequence[DeadLetter]) -> list[Outcome]:
        shard = chunk[0].shard
        arguments: list[str | bytes] = [EVENT_FIELD, MARKER]
        for letter in chunk:
            arguments += [letter.id.entry_id, letter.first_entry_id or "", letter.event or b""]
        keys = [
            shard.rejected,
            redriven_key(shard.rejected),
            shard.responses,
            accepted_key(shard.responses),
        ]
        with redis_errors():
            answers: Any = await self._script(keys=keys, args=arguments)
        return [
            Outcome(replace(letter, redriven_as=entry_id), _FATES[word], entry_id)
            for letter, (word, sent) in zip(chunk, answers, strict=True)
            for entry_id in [sent.decode() or None]
        ]


def _known(letter: DeadLetter) -> Outcome | None:
    if letter.redriven_as is None:
        return None
    return Outcome(letter, Fate.ALREADY_REDRIVEN, letter.redriven_as)


def _refused(letter: DeadLetter) -> Outcome | None:
    reason = obstacle(letter)
    return None if reason is None else Outcome(letter, Fate.REFUSED, reason=reason)


def _chunks(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    for _, group in by_shard(letters):
        chunk: list[DeadLetter] = []
        size = 0
        for letter in group:
            length = len(letter.event or b"")
            if chunk and (len(chunk) >= _CHUNK_LETTERS or size + length > _CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(letter)
            size += length
        yield chunk
