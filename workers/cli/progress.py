"""Show progress: a bar on a terminal, else a line every ten seconds."""

import threading
from collections.abc import Iterator
from typing import Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from typing_extensions import override

LINE_EVERY_S: Final = 10.0


def progress_bar(console: Console | None = None, *, logged: bool = False) -> Progress:
    """Return a bar with count, elapsed and remaining time, on standard error.

    Where standard error is no terminal, it prints one line every `LINE_EVERY_S` instead, and
    nothing for work that is done sooner.

    Args:
        console: takes the bar; None for standard error.
        logged: the command logs its progress itself, so no lines are printed.
    """
    shown = console or Console(stderr=True)
    if not shown.is_terminal and not logged:
        return ProgressLines(shown)
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=shown,
        disable=not shown.is_terminal,
    )


class ProgressLines(Progress):
    """Prints one line with all tasks under way, again and again.

    Args:
        console: takes the lines.
        every_s: seconds between two lines.
    """

    def __init__(self, console: Console, every_s: float = LINE_EVERY_S) -> None:
        super().__init__(console=console, disable=True)
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @override
    def start(self) -> None:
        if self._thread is None:
            self._ended.clear()
            # A thread, because some work between two updates takes longer than a line may wait.
            self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
            self._thread.start()

    @override
    def stop(self) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            line = "; ".join(self._parts())
            if line:
                typer.echo(line, file=self.console.file)

    def _parts(self) -> Iterator[str]:
        for task in self.tasks:
            if task.visible and not task.finished:
                yield _part(task)


def _part(task: Task) -> str:
    counted = f"{task.description or 'progress'}: {task.completed:,.0f}"
    if task.total:
        counted += f" of {task.total:,.0f} ({task.percentage:.0f} %)"
    return f"{counted}, {task.elapsed or 0.0:.0f} s"
