"""Workers and commands inside the test's own process: no Python has to be started for them."""

import importlib
import os
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import workers.cli
from workers.app.worker import ROLES, Role, running_worker
from workers.cli.main import app
from workers.config.loading import load_settings
from workers.config.settings import Settings


@contextmanager
def only(environment: dict[str, str]) -> Iterator[None]:
    """Read settings from this environment only."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def settings_of(environment: dict[str, str], **overrides: Any) -> Settings:
    """The settings that an environment gives."""
    with only(environment):
        return load_settings(**overrides)


async def drained(settings: Settings, roles: Sequence[Role] = ROLES) -> None:
    """Run a worker until every stream of its roles is drained."""
    async with running_worker(settings, roles, http=False) as (worker, _):
        await worker.run(burst=True)


def command(environment: dict[str, str], *arguments: str) -> str:
    """Run a command as a person does; returns what it printed."""
    done = _invoked(environment, *arguments)
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.stdout


def failure(environment: dict[str, str], *arguments: str) -> str:
    """Run a command that fails; returns what it printed, and what it ended with."""
    done = _invoked(environment, *arguments)
    assert done.exit_code != 0, (arguments, done.output)
    return f"{done.output} {done.exception}"


def _invoked(environment: dict[str, str], *arguments: str) -> Result:
    with only(environment), pytest.MonkeyPatch.context() as patch:
        # The logs of the test's process stay as they are, for the tests after this one.
        for module in _modules_of_commands():
            if hasattr(module, "configure_logs"):
                patch.setattr(module, "configure_logs", lambda *_: None)
        return CliRunner().invoke(app, [*arguments])


def _modules_of_commands() -> Iterator[ModuleType]:
    """All modules of the command line, imported now rather than when a command runs."""
    for module in pkgutil.walk_packages(workers.cli.__path__, "workers.cli."):
        yield importlib.import_module(module.name)
