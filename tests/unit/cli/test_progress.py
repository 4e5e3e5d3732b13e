"""Progress for people at a terminal, and for those who read a file later."""

import io
import time

from rich.console import Console

from workers.cli.progress import ProgressLines, progress_bar


def _lines(out: io.StringIO, at_least: int) -> list[str]:
    until = time.monotonic() + 10
    while len(lines := out.getvalue().splitlines()) < at_least:
        assert time.monotonic() < until, lines
        time.sleep(0.01)
    return lines


def test_given_a_pipe_when_work_takes_long_then_a_line_tells_how_far_it_is() -> None:
    out = io.StringIO()
    with ProgressLines(Console(file=out), every_s=0.02) as bar:
        sent = bar.add_task("published", total=2000)
        bar.add_task("reading", total=None)
        bar.add_task("hidden", total=5, visible=False)
        bar.update(sent, advance=1500)
        lines = _lines(out, 2)
    assert lines[-1] == "published: 1,500 of 2,000 (75 %), 0 s; reading: 0, 0 s"


def test_given_a_pipe_when_work_is_short_then_nothing_is_printed() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out)) as bar:
        bar.update(bar.add_task("verifying", total=3), completed=3)
        bar.stop()
        bar.start()
    assert out.getvalue() == ""


def test_given_a_terminal_when_work_runs_then_there_is_a_bar() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out, force_terminal=True, width=100)) as bar:
        bar.update(bar.add_task("verifying", total=3), completed=3)
    assert "verifying" in out.getvalue()
    assert "3/3" in out.getvalue()
