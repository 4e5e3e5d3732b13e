"""A file that can't be written is refused before the work; a reader that leaves ends it quietly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from workers.cli.main import app
from workers.cli.output import require_writable

# Prints more than a pipe holds through the whole command line.
_LONG = """
import typer
from workers.cli import main

@main.app.command(name="long", rich_help_panel="Develop")
def long() -> None:
    for number in range(100_000):
        typer.echo(f"line {number}")

main.run()
"""


def test_given_a_new_or_an_existing_file_then_it_is_left_as_it_was(tmp_path: Path) -> None:
    new, old = tmp_path / "new.html", tmp_path / "old.html"
    old.write_text("kept")
    for path in (new, old, None):
        require_writable(path, "--report")
    assert not new.exists()
    assert old.read_text() == "kept"


@pytest.mark.parametrize("name", ["missing/report.html", "", "a" * 300])
def test_given_a_file_that_cannot_be_written_then_it_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        require_writable(tmp_path / name, "--report")
    assert refused.value.param_hint == "--report"
    assert str(tmp_path) in str(refused.value)


def test_given_a_named_pipe_then_checking_it_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    require_writable(tmp_path / "pipe", "--output")


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--report"],
        ["evaluate", "--live", "--report"],
        ["learner", "export", "student-1", "--output"],
        ["parameters", "export", "1", "--output"],
    ],
)
def test_given_a_bad_file_when_a_command_runs_then_no_work_is_done(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Work would fail on this setting.
    monkeypatch.setenv("BATCH_SIZE", "many")
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "none" / "file")])
    assert done.exit_code == 2
    assert "is not a" in done.output


def test_given_a_reader_that_leaves_then_the_command_ends_without_a_word() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _LONG, "long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 141
    assert errors == b""
