"""Export everything that is held of a learner as one JSON document, page by page."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final

import orjson

from contracts.streams import JOBS, MASTERY, RESPONSES, UNLOCKED
from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.graph.protocol import Graph
from workers.ledger.privacy import TABLES, PrivacyLedger
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.redaction import shown, without_tokens
from workers.operations.privacy.streams import Entry, LearnerStreams

_PAGE: Final = 500


class Exporter:
    """Exports learners; holds one page in memory at a time.

    Args:
        ledger: the system of record.
        graph: the graph, prepared.
        streams: the learner's entries.
    """

    def __init__(self, *, ledger: PrivacyLedger, graph: Graph, streams: LearnerStreams) -> None:
        self._ledger = ledger
        self._graph = graph
        self._streams = streams
        self.held = False
        """True once something was exported that is held about a learner."""

    async def export(self, key: LearnerKey) -> AsyncIterator[bytes]:
        """Yield the document in pieces: UTF-8, without any token.

        Data written during the export may be in it or not.

        Raises:
            Unavailable: a server is away; the pieces so far are not a document.
        """
        now_ms = await self._streams.now_ms()
        head = {**key._asdict(), "exported_at": iso(now_ms * 1000)}
        yield orjson.dumps(head)[:-1] + b',\n"ledger": {'
        for number, table in enumerate(TABLES):
            yield (b",\n" if number else b"\n") + orjson.dumps(table) + b": ["
            async for piece in self._listed(self._rows(key, table)):
                yield piece
            yield b"]"
        yield b'},\n"graph": ' + orjson.dumps(await self._of_graph(key))
        yield b',\n"dead_letters": ['
        async for piece in self._listed(self._letters()):
            yield piece
        yield b'],\n"streams": {'
        for number, (name, pages) in enumerate(
            (
                (RESPONSES, self._streams.responses()),
                (MASTERY, self._streams.mastery()),
                (UNLOCKED, self._streams.unlocked()),
                (JOBS, self._streams.jobs()),
            )
        ):
            yield (b",\n" if number else b"\n") + orjson.dumps(name) + b": ["
            async for piece in self._listed(_entries(pages)):
                yield piece
            yield b"]"
        yield b'},\n"job_records": ['
        async for piece in self._listed(self._job_records()):
            yield piece
        yield b"]}\n"

    async def _rows(self, key: LearnerKey, table: str) -> AsyncIterator[Iterable[Any]]:
        after = None
        while rows := await self._ledger.rows_of(key, table, after, _PAGE):
            yield rows
            after = rows[-1]

    async def _of_graph(self, key: LearnerKey) -> dict[str, Any]:
        (stored,) = await self._graph.learners([key])
        knows = await self._graph.knows(key)
        self.held |= knows
        return {
            "student": knows,
            "has_mastery": [relationship._asdict() for relationship in stored.mastery],
            "has_ability": [relationship._asdict() for relationship in stored.abilities],
            "attended": [relationship._asdict() for relationship in stored.attendance],
            "unlocked": [relationship._asdict() for relationship in stored.unlocked],
        }

    async def _job_records(self) -> AsyncIterator[Iterable[Any]]:
        async for page in self._streams.job_records():
            yield [record.to_jsonable() for record in page]

    async def _listed(self, pages: AsyncIterable[Iterable[Any]]) -> AsyncIterator[bytes]:
        before = b"\n"
        async for page in pages:
            for document in page:
                self.held = True
                yield before + orjson.dumps(document)
                before = b",\n"

    async def _letters(self) -> AsyncIterator[Iterable[Any]]:
        async for page in self._streams.letters():
            yield [_letter(letter) for letter in page]


async def _entries(pages: AsyncIterable[list[Entry]]) -> AsyncIterator[Iterable[Any]]:
    async for page in pages:
        yield [
            {"stream": entry.stream, "entry_id": entry.entry_id, "event": shown(entry.event)}
            for entry in page
        ]


def _letter(letter: DeadLetter) -> dict[str, Any]:
    said = {n: v for n, v in letter.data.items() if n not in {"event", "event_base64"}}
    event = letter.event
    if event is None and (text := letter.text("event")) is not None:
        event = text.encode()
    return {
        "id": str(letter.id),
        "redriven_as": letter.redriven_as,
        **without_tokens(said),
        "event": None if event is None else shown(event),
    }
