"""The graph inside the process, on `ladybug`, for development, tests and the demo.

It runs the same statements as Neo4j, one at a time in a thread of its own. Only one process at a
time can open a directory.
"""

import asyncio
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import ladybug
from typing_extensions import override

from workers.common.errors import GraphRefused, GraphUnavailable
from workers.graph.cypher_graph import CypherGraph
from workers.graph.scripts import Script, listed, run
from workers.graph.statements import PROBE, Merge, Row, merges, script, statement

_Result = TypeVar("_Result")

_BUFFER_POOL_BYTES = 256 * 2**20
_PASSING = ("Buffer manager exception", "IO exception", "Interrupted")
"""First words of messages about memory or disk, which may be free again later."""


class EmbeddedGraph(CypherGraph):
    """A graph in the process.

    Args:
        directory: the directory of its files, made if missing; None for a temporary directory
            that is removed when the graph is closed.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="graph")
        self._database: ladybug.Database | None = None
        self._connection: ladybug.Connection | None = None
        self._closed = False

    @override
    async def prepare(self) -> None:
        await self._in_thread(
            lambda: self._run_together(listed(Merge(text, []) for text in script("tables")))
        )

    @override
    async def faults(self) -> list[str]:
        try:
            await self._in_thread(self._probe)
        except GraphRefused as error:
            remedy = (
                "another version may have made the embedded graph: move its directory away and "
                "run `mastery reconcile`"
            )
            return [f"a trial merge, taken back at once, failed: {error}; {remedy}"]
        return []

    @override
    async def ping(self) -> None:
        await self._read(statement("ping"), {})

    @override
    async def close(self) -> None:
        if self._closed:
            return
        try:
            await self._in_thread(self._close)
        finally:
            self._closed = True
            self._thread.shutdown()

    @override
    async def _read(self, text: str, parameters: dict[str, Any]) -> list[Row]:
        return await self._in_thread(lambda: self._run(text, parameters))

    @override
    async def _together(self, work: Script[_Result]) -> _Result:
        return await self._in_thread(lambda: self._run_together(work))

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        if self._closed:
            raise GraphRefused("the embedded graph is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # The methods below run in the thread.

    def _open(self) -> ladybug.Connection:
        if self._connection is None:
            try:
                if self._directory is None:
                    self._temporary = tempfile.TemporaryDirectory(prefix="mastery-graph-")
                    directory = Path(self._temporary.name)
                else:
                    directory = self._directory
                    directory.mkdir(parents=True, exist_ok=True)
                self._database = ladybug.Database(
                    directory / "graph.lbug", buffer_pool_size=_BUFFER_POOL_BYTES
                )
                self._connection = ladybug.Connection(self._database)
            except (OSError, RuntimeError) as error:
                raise GraphRefused(
                    f"the embedded graph in {self._directory} can't be opened: {_line(error)}; "
                    "end the process that has it open, make its directory writable, or set "
                    "NEO4J_URI"
                ) from error
        return self._connection

    def _close(self) -> None:
        if self._connection is not None and self._database is not None:
            self._connection.close()
            self._database.close()
        self._connection = self._database = None
        if self._temporary is not None:
            self._temporary.cleanup()

    def _run(self, text: str, parameters: dict[str, Any]) -> list[Row]:
        connection = self._open()
        try:
            result = connection.execute(text, parameters)
            if isinstance(result, list):
                raise GraphRefused(f"one statement was expected: {text}")
            try:
                names = result.get_column_names()
                return [
                    dict(zip(names, map(_native, row), strict=True)) for row in result.get_all()
                ]
            finally:
                result.close()
        except RuntimeError as error:
            reason = _line(error)
            if reason.startswith(_PASSING):
                raise GraphUnavailable(reason) from error
            if reason.startswith("Unable to cast Python instance"):
                # The event is at fault, as with Neo4j's driver: a value fits no column, such as a
                # version beyond 64 bits.
                raise OverflowError(reason) from error
            raise GraphRefused(f"the embedded graph refuses: {reason}") from error

    def _run_together(self, work: Script[_Result]) -> _Result:
        self._run("BEGIN TRANSACTION", {})
        try:
            result = run(work, self._run_one)
            self._run("COMMIT", {})
        except BaseException:
            self._roll_back()
            raise
        return result

    def _run_one(self, merge: Merge) -> list[Row]:
        return self._run(merge.statement, {"rows": merge.rows} if merge.rows else {})

    def _roll_back(self) -> None:
        try:
            self._run("ROLLBACK", {})
        except GraphRefused as error:
            # Most errors have rolled back already.
            if "No active transaction" not in str(error):
                raise

    def _probe(self) -> None:
        self._run("BEGIN TRANSACTION", {})
        try:
            for text, rows in merges(PROBE):
                self._run(text, {"rows": rows})
        finally:
            self._roll_back()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _native(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
