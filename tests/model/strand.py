"""Holding a worker at a moment of its work, letting it fail there, or ending it there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

Answer = TypeVar("Answer")
Stray = Callable[[], Awaitable[object]]


class Point(StrEnum):
    """A moment between two effects of a batch."""

    LOAD = "before load"
    COMMIT = "between load and commit"
    COMMITTED = "after commit, before its answer is read"
    PUBLISH = "before the script"
    PUBLISHED = "after the script, before its answer is read"


class Killed(BaseException):
    """The process is no more; nothing in it may run on."""


@dataclass
class Hold:
    """A call that waits at a point."""

    point: Point
    released: asyncio.Future[None]


@dataclass
class Strand:
    """The thread on which one incarnation of a worker hangs.

    Every effect on the servers goes through `effect` or `call`: so the machine knows when the
    incarnation has come to rest, and once it is dead nothing of it reaches a server any more.
    """

    strays: list[Stray]
    """Requests that were on their way when their sender died."""
    stop: Point | None = None
    """Place at which each call waits."""
    holds: list[Hold] = field(default_factory=list)
    busy: int = 0
    arrivals: int = 0
    dead: bool = False
    leaves_request: bool = False
    """True if the request that is held at its death arrives later."""

    async def effect(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Make a call that is never held."""
        if self.dead:
            raise Killed
        self.busy += 1
        try:
            return await call()
        finally:
            self.busy -= 1

    async def call(
        self, before: Point, call: Callable[[], Awaitable[Answer]], after: Point | None
    ) -> Answer:
        """Make a call that may be held before it and after it."""
        self.arrivals += 1
        if self.dead:
            raise Killed
        try:
            await self._reach(before)
        except Killed:
            if self.leaves_request and before is not Point.LOAD:
                self.strays.append(call)
            raise
        answer = await self.effect(call)
        if after is not None:
            await self._reach(after)
        return answer

    async def _reach(self, point: Point) -> None:
        if point is not self.stop:
            return
        hold = Hold(point, asyncio.get_running_loop().create_future())
        self.holds.append(hold)
        try:
            await hold.released
        finally:
            self.holds.remove(hold)

    def go_on(self, stop: Point | None) -> None:
        """Release all that is held; calls wait at the new point from now on."""
        self.stop = stop
        for hold in self.holds:
            if not hold.released.done():
                hold.released.set_result(None)

    def fail(self, error: Exception) -> None:
        """Fail the call held the longest."""
        self.holds[0].released.set_exception(error)

    def kill(self, *, leaving_request: bool) -> None:
        """End everything that is held, and everything that would still begin."""
        self.dead = True
        self.leaves_request = leaving_request
        for hold in self.holds:
            hold.released.set_exception(Killed())
