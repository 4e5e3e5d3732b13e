"""Each command of README and docs is run by a test, and has the options that pages give it."""

import re
import shlex
import sys
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from tests.support.page_commands import mastery_commands, shell_commands, words_of
from workers.cli.main import app
from workers.config.settings import Settings

_ROOT: Final = Path(__file__).parents[3]
_PAGES: Final = [
    *(_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "supabase/README.md")),
    *sorted(_ROOT.glob("docs/*.md")),
    _ROOT / "contracts" / "typescript" / "README.md",
]
_SETTINGS: Final = {name.upper() for name in Settings.model_fields}

_COMMANDS_ARE_RUN_BY: Final = {
    "demo": "tests/acceptance/test_commands.py",
    "dev": "tests/acceptance/test_dev.py",
    "worker": "tests/acceptance/test_commands.py",
    "replay": "tests/acceptance/test_commands.py",
    "check": "tests/acceptance/test_commands.py",
    "verify": "tests/acceptance/test_commands.py",
    "migrate": "tests/acceptance/test_commands.py",
    "migrate draft": "tests/unit/ledger/schema/test_drafting.py",
    "rebuild": "tests/integration/operations/test_repair_commands.py",
    "response": "tests/integration/operations/test_repair_commands.py",
    "reconcile": "tests/integration/operations/test_reconcile.py",
    "concepts": "tests/integration/operations/test_concept_commands.py",
    "jobs": "tests/integration/operations/test_jobs_commands.py",
    "learner": "tests/integration/operations/test_learner_commands.py",
    "rejected": "tests/acceptance/test_rejected.py",
    "calibrate": "tests/integration/modelling/test_calibration.py",
    "evaluate": "tests/unit/modelling/evaluation/test_report.py",
    "parameters": "tests/integration/flow/test_parameters_commands.py",
    "token": "tests/acceptance/test_dev.py",
    "asyncapi": "tests/acceptance/test_asyncapi.py",
}
"""By command, or by group for all of the group: the test that runs it."""

_OTHERS_ARE_RUN_BY: Final = {
    "uv sync": (".ci/run", "uv sync"),
    "uv run pytest": (".ci/run", "uv run pytest"),
    "uv run ruff": (".ci/run", "uv run ruff check"),
    "uv run lint-imports": (".ci/run", "uv run lint-imports"),
    "uv run mypy": (".ci/run", "uv run mypy"),
    'eval "$(.ci/servers.sh start)"': (".ci/run", ".ci/servers.sh start"),
    ".ci/servers.sh stop": (".ci/run", ".ci/servers.sh stop"),
    "uv run faststream": ("tests/acceptance/test_faststream.py", "workers.app.application:app"),
    "uv build --wheel contracts": (
        "tests/acceptance/test_python_page.py",
        '"--wheel", "contracts"',
    ),
    "npm ci --prefix": ("tests/acceptance/test_readme_express.py", "Try it with Express"),
    "npm run example": ("tests/acceptance/test_readme_express.py", "Try it with Express"),
    "curl http://127.0.0.1:3000/answers": ("tests/acceptance/test_readme_express.py", "express.md"),
    "mkdir -p ../your-app": (
        "tests/acceptance/test_npm_package.py",
        'code_blocks(_PACKAGE / "README',
    ),
    "npm pack": ("tests/acceptance/test_npm_package.py", 'code_blocks(_PACKAGE / "README'),
    "cd ../your-app": ("tests/acceptance/test_npm_package.py", 'code_blocks(_PACKAGE / "README'),
    "npm install": ("tests/acceptance/test_npm_package.py", 'code_blocks(_PACKAGE / "README'),
    "npm ci && npm run check": ("tests/acceptance/test_typescript.py", "def test_"),
    "TEST_REDIS_URL=": ("tests/acceptance/test_typescript.py", "TEST_REDIS_URL"),
    "cp .env.example .env": ("tests/unit/config/test_settings.py", ".env.example"),
    "(umask 077; deploy/make-env": ("tests/unit/deploy/test_compose.py", "make-env"),
    # Not run: it needs a Docker engine and pulls images. The test reads the file and its settings.
    "docker compose": ("tests/unit/deploy/test_compose.py", "docker-compose.yml"),
    # Not run: they need a cluster. The tests render the chart and parse the commands in it.
    "helm install": ("tests/unit/deploy/test_chart.py", "helm("),
    "helm upgrade": ("tests/unit/deploy/test_chart.py", "pre-upgrade"),
    "kubectl create secret": ("tests/unit/deploy/test_chart.py", "secretKeyRef"),
    "kubectl exec": ("tests/acceptance/test_commands.py", "check"),
    # Not run: it changes the project that it is run in, and takes the wheel of the line before.
    "uv add ./dist/mastery_engine_contracts-": (
        "tests/acceptance/test_python_page.py",
        "mastery_engine_contracts-",
    ),
}
"""By beginning of a command line: the file that runs it, and what it must contain."""

_PLACEHOLDERS: Final = {
    "N": "2",
    "TIME": "2h",
    "RESPONSE_ID": "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b10",
}
_SHELL: Final = [command for page in _PAGES for command in shell_commands(page)]
_MASTERY: Final[Any] = typer.main.get_command(app)
_SETTING: Final = re.compile(r"([A-Z][A-Z0-9_]*)=")


def _is_setting(command: str) -> bool:
    names = [_SETTING.match(word) for word in shlex.split(command)]
    return all(name is not None and name[1] in _SETTINGS for name in names)


def _path(words: list[str]) -> list[str]:
    """Return the words that name a command or a group."""
    group: Any = _MASTERY
    path: list[str] = []
    for word in words:
        if not hasattr(group, "commands"):
            break
        assert word in group.commands, f"mastery has no command {' '.join([*path, word])}"
        group = group.commands[word]
        path.append(word)
    return path


def _parse(words: list[str], *, whole: bool) -> None:
    """Parse a command as `mastery` does, without running it; `whole`: nothing may be missing."""
    path = _path(words)
    command, context = _MASTERY, _MASTERY.context_class(_MASTERY, info_name="mastery")
    for name in path:
        command = command.commands[name]
        if hasattr(command, "commands"):
            context = command.context_class(command, parent=context, info_name=name)
    if hasattr(command, "commands"):
        assert not whole, f"{' '.join(path)} is a group"
        return
    rest = [_PLACEHOLDERS.get(word, word) for word in words[len(path) :]]
    try:
        command.make_context(path[-1], rest, parent=context)
    except Exception as error:
        # Typer brings a Click of its own, whose errors it does not export.
        if whole or type(error).__name__ != "MissingParameter":
            raise AssertionError(f"mastery {' '.join(words)}: {error}") from error


def _alternatives(command: str) -> list[list[str]]:
    return [list(words) for words in product(*(word.split("|") for word in words_of(command)))]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_given_a_page_then_mastery_takes_the_options_of_its_commands(page: Path) -> None:
    lines = set(shell_commands(page))
    assert [line for line in lines if line.startswith("mastery ")] == [], "begin with uv run"
    for command in mastery_commands(page):
        for words in _alternatives(command):
            _parse(words, whole=command in lines)


@pytest.mark.parametrize(
    "words", [["demo", "--pupils", "3"], ["check", "all"], ["serve"], ["replay"], ["rejected"]]
)
def test_given_words_that_mastery_does_not_take_then_they_are_found(words: list[str]) -> None:
    with pytest.raises(AssertionError):
        _parse(words, whole=True)


def test_given_the_commands_of_the_pages_then_a_test_runs_each() -> None:
    documented = {
        " ".join(_path(words))
        for page in _PAGES
        for command in mastery_commands(page)
        for words in _alternatives(command)
    }
    assert len(documented) > 25
    for command in documented:
        name = command if command in _COMMANDS_ARE_RUN_BY else command.split()[0]
        assert name in _COMMANDS_ARE_RUN_BY, "name the test that runs it"
        text = (_ROOT / _COMMANDS_ARE_RUN_BY[name]).read_text("utf-8")
        assert [word for word in command.split() if word not in text] == [], command


def test_given_other_command_lines_of_the_pages_then_a_test_runs_each() -> None:
    others = [
        command
        for command in _SHELL
        if not re.match(r"(uv run )?mastery ", command) and not _is_setting(command)
    ]
    unknown = {line for line in others if not line.startswith(tuple(_OTHERS_ARE_RUN_BY))}
    assert unknown == set(), "name the test that runs them"
    unused = {start for start in _OTHERS_ARE_RUN_BY if not any(x.startswith(start) for x in others)}
    assert unused == set(), "no page has them any more"
    for file, needle in _OTHERS_ARE_RUN_BY.values():
        assert needle in (_ROOT / file).read_text("utf-8"), file


def test_given_tools_and_files_of_command_lines_then_they_exist() -> None:
    for command in _SHELL:
        if command.startswith("uv run "):
            assert (Path(sys.executable).parent / command.split()[2]).exists(), command
        for path in re.findall(r"(?<=\s)(?:tests|deploy|docs)/[\w./-]+", command):
            assert (_ROOT / path).exists(), command
