"""Additions to a worker by a program around it, such as `mastery dev`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from workers.app.servers import Servers


async def _nothing(_: Servers) -> None:
    return


@dataclass(frozen=True, slots=True)
class Extension:
    """Additions to a worker.

    Args:
        routes: come before the worker's own on its public server.
        middleware: runs before the worker's own there.
        seed: called with the open servers before the worker starts.
    """

    routes: Sequence[BaseRoute] = ()
    middleware: Sequence[Middleware] = ()
    seed: Callable[[Servers], Awaitable[None]] = _nothing


NO_EXTENSION: Final = Extension()
