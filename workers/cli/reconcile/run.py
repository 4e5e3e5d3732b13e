"""Run a reconciliation on open servers, page by page until it is stopped."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog
from rich.progress import Progress

from workers.app.servers import Servers
from workers.cli.reconcile.report import Report
from workers.common.errors import RedisUnavailable
from workers.common.retrying import NoRetry, Retrying
from workers.common.tasks import end
from workers.operations.concept_map.graph_map import GraphMap
from workers.operations.reconciliation.graph_repair import GraphRepair
from workers.operations.reconciliation.publication import Publication
from workers.operations.reconciliation.since import Since
from workers.operations.reconciliation.unlocked import UnlockedRepair
from workers.operations.repair.scope import Cursor, Phase, Scope
from workers.streams.redis_errors import redis_errors

_log = structlog.get_logger(__name__)

_Page = TypeVar("_Page")

_LOG_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """The task of a run.

    Args:
        scope: the learners.
        since: publish values recorded since; None publishes nothing.
        cursor: the place to continue an interrupted run.
        dry_run: change nothing.
    """

    scope: Scope
    since: Since | None = None
    cursor: Cursor | None = None
    dry_run: bool = False


class Run:
    """Publish if the order says so, then compare and repair.

    Args:
        servers: open servers.
        shard_count: `STREAM_SHARDS`.
        order: the task.
        report: counts each page.
        bar: shows the progress.
    """

    def __init__(
        self, servers: Servers, shard_count: int, order: Order, report: Report, bar: Progress
    ) -> None:
        self._servers = servers
        self._shard_count = shard_count
        self._order = order
        self._report = report
        self._bar = bar
        self._task = bar.add_task("", total=None)
        self._logged = time.monotonic()

    async def until_done(self, stopped: asyncio.Event) -> None:
        """Run to the end, or until stopped; the report then has the cursor.

        Raises:
            Unavailable: a server is away at the start; later, the run waits for it.
            Fatal: a server refuses a request.
        """
        # A server that is away at the start suggests a wrong setting, not a passing outage.
        await self._servers.ledger.ping()
        resumed = None if self._order.cursor is None else self._order.cursor.phase
        if self._order.since is not None and resumed is not Phase.GRAPH:
            await self._publish(self._order.since, stopped)
        if not stopped.is_set():
            await self._repair(stopped)
        self._report.finished = not stopped.is_set()
        if self._report.finished:
            self._report.cursor = None

    async def _publish(self, since: Since, stopped: asyncio.Event) -> None:
        with redis_errors():
            await self._servers.redis.ping()
        publication = Publication(
            ledger=self._servers.ledger,
            client=self._servers.redis,
            shard_count=self._shard_count,
            retrying=Retrying(),
            scope=self._order.scope,
            dry_run=self._order.dry_run,
        )
        since_us = since.by(await self._servers.ledger.clock_us())
        self._report.since_us = since_us
        after = None if self._order.cursor is None else self._order.cursor.after
        async for page in until_stopped(publication.run(since_us, after), stopped):
            self._report.published(page)
            self._report.cursor = Cursor(Phase.PUBLISH, page.after)
            self._show_progress("publishing", page.scanned)

    async def _repair(self, stopped: asyncio.Event) -> None:
        await self._servers.graph.prepare()
        await self._repair_map(stopped)
        repair = GraphRepair(
            ledger=self._servers.ledger,
            graph=self._servers.graph,
            retrying=Retrying(),
            scope=self._order.scope,
            dry_run=self._order.dry_run,
        )
        cursor = self._order.cursor
        after = cursor.after if cursor is not None and cursor.phase is Phase.GRAPH else None
        async for page in until_stopped(repair.run(after), stopped):
            self._report.compared(page)
            if page.after is not None:
                self._report.cursor = Cursor(Phase.GRAPH, page.after)
            self._show_progress("comparing", page.learners)
        await self._repair_unlocked(stopped)

    async def _repair_unlocked(self, stopped: asyncio.Event) -> None:
        """Run last: it needs the repaired learners, and it alone needs Redis."""
        unlocked = UnlockedRepair(
            client=self._servers.redis,
            shard_count=self._shard_count,
            graph=self._servers.graph,
            retrying=Retrying(),
            of_redis=NoRetry(),
            scope=self._order.scope,
            dry_run=self._order.dry_run,
        )
        try:
            async for count in until_stopped(unlocked.run(), stopped):
                self._report.unlocked += count
        except RedisUnavailable as error:
            _log.warning("unlocked_concepts_not_compared", reason=error.reason)

    async def _repair_map(self, stopped: asyncio.Event) -> None:
        """Run first: concepts are few, and learners refer to them."""
        if self._order.scope.learner is not None:
            return
        graph_map = GraphMap(
            ledger=self._servers.ledger,
            graph=self._servers.graph,
            retrying=Retrying(),
            dry_run=self._order.dry_run,
        )
        async for differences in until_stopped(graph_map.of(self._order.scope.tenant_id), stopped):
            self._report.mapped(differences)

    def _show_progress(self, doing: str, learners: int) -> None:
        """Show the progress, and log it so that the run can be continued after a crash."""
        self._bar.update(self._task, description=doing, advance=learners)
        if time.monotonic() - self._logged >= _LOG_EVERY_S:
            self._logged = time.monotonic()
            _log.info(
                "reconcile_progress",
                doing=doing,
                learners=self._report.learners,
                events=self._report.events,
                options=self._report.options,
            )


async def until_stopped(
    pages: AsyncIterator[_Page], stopped: asyncio.Event
) -> AsyncIterator[_Page]:
    """Yield pages until `stopped` is set; an unfinished page is cancelled."""
    waiting = asyncio.create_task(stopped.wait())
    try:
        while not stopped.is_set():
            page = asyncio.ensure_future(anext(pages, None))
            try:
                await asyncio.wait({page, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if not page.done() or (done := page.result()) is None:
                    return
            finally:
                await end([page])
            yield done
    finally:
        await end([waiting])
