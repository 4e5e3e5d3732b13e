"""Forked commands behave as started ones."""

import os
import signal
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.preloaded import Preloaded
from tests.support.whole_run import MASTERY_COMMAND

_WITHIN_S = 60.0


@pytest.mark.parametrize(("arguments", "status"), [(["--version"], 0), (["no-command"], 2)])
def test_given_a_forked_command_when_it_ends_then_its_status_is_known(
    arguments: list[str], status: int, preloaded: Preloaded, tmp_path: Path
) -> None:
    with (tmp_path / "output").open("wb") as output:
        forked = preloaded.start([MASTERY_COMMAND, *arguments], dict(os.environ), output)
    assert forked.wait(_WITHIN_S) == status
    assert forked.poll() == forked.returncode == status
    said = (tmp_path / "output").read_text()
    assert (version("mastery-engine") if status == 0 else "No such command") in said


def test_given_a_forked_command_then_it_has_the_environment_it_was_given(
    preloaded: Preloaded, tmp_path: Path
) -> None:
    with (tmp_path / "output").open("wb") as output:
        forked = preloaded.start(
            [MASTERY_COMMAND, "worker"], {**os.environ, "BATCH_SIZE": "many"}, output
        )
    assert forked.wait(_WITHIN_S) == 1
    assert "BATCH_SIZE" in (tmp_path / "output").read_text()


def test_given_forked_commands_when_one_is_killed_then_the_other_runs_on(
    preloaded: Preloaded, tmp_path: Path
) -> None:
    with (tmp_path / "output").open("wb") as output:
        dying, living = (
            preloaded.start(
                [MASTERY_COMMAND, "dev", "--directory", str(tmp_path / name)],
                {**os.environ, "HTTP_PORT": "0"},
                output,
            )
            for name in ("dying", "living")
        )
    for forked in (dying, living):
        forked.send_signal(signal.SIGSTOP)
    dying.kill()
    assert dying.wait(_WITHIN_S) == -signal.SIGKILL
    with pytest.raises(subprocess.TimeoutExpired):
        living.wait(0)
    living.kill()
    assert living.wait(_WITHIN_S) == -signal.SIGKILL
    dying.kill()
