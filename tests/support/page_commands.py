"""The commands that pages tell their readers to run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OURS: Final = re.compile(r"(?:uv run )?mastery (?=[a-z-])")
_INDENTED: Final = re.compile(r"^ {4}(uv run .*)$", re.MULTILINE)
_SPAN: Final = re.compile(r"`([^`]+)`")


def shell_commands(page: Path) -> list[str]:
    """Return the commands of the ``sh`` blocks of a page, without comments, one a line."""
    return [
        command
        for language, block in _FENCE.findall(page.read_text("utf-8"))
        if language == "sh"
        for command in _commands(block)
    ]


def mastery_commands(page: Path) -> list[str]:
    """Return all ``mastery`` commands of a page: of blocks, indented lines and inline code."""
    text = page.read_text("utf-8")
    plain = [block for language, block in _FENCE.findall(text) if not language]
    prose = _FENCE.sub("", text)
    found = [
        *shell_commands(page),
        *(command for block in plain for command in _commands(block)),
        *_INDENTED.findall(prose),
        *(" ".join(span.split()) for span in _SPAN.findall(prose)),
    ]
    return [command for command in found if _OURS.match(command)]


def words_of(command: str) -> list[str]:
    """Return the words after ``mastery``, without brackets around what may be left out."""
    words = shlex.split(_OURS.sub("", command, count=1).replace("…", ""))
    return [word for word in (word.strip("[]") for word in words) if word]


def _commands(block: str) -> Iterator[str]:
    text = ""
    for line in block.splitlines():
        text = f"{text[:-1]} {line.strip()}" if text.endswith("\\") else f"{text}{line}"
        # A command goes on after a backslash, and within quotes.
        if text.endswith("\\") or not _closed(text):
            continue
        command = re.sub(r"(^|\s+)#.*$", "", text).strip()
        if command:
            yield command
        text = ""
    assert not text, f"a command has no end: {text}"


def _closed(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True
