"""Several statements in one transaction; each may depend on the rows of those before."""

from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import TypeVar

from workers.graph.statements import Merge, Row

_Result = TypeVar("_Result")

Script = Generator[Merge, list[Row], _Result]
"""Yields statements, is sent the rows of each, and returns a result."""


def listed(work: Iterable[Merge]) -> Script[None]:
    """Make a script of statements that do not depend on each other."""
    for merge in work:  # noqa: UP028  # a list has no `send`
        yield merge


def run(script: Script[_Result], execute: Callable[[Merge], list[Row]]) -> _Result:
    """Run a script to its end."""
    try:
        merge = next(script)
        while True:
            merge = script.send(execute(merge))
    except StopIteration as end:
        result: _Result = end.value
        return result


async def run_async(
    script: Script[_Result], execute: Callable[[Merge], Awaitable[list[Row]]]
) -> _Result:
    """Run a script to its end, with statements that are awaited."""
    try:
        merge = next(script)
        while True:
            merge = script.send(await execute(merge))
    except StopIteration as end:
        result: _Result = end.value
        return result
