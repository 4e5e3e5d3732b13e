"""The code of a page of the docs, so that tests run what readers copy."""

import ast
import inspect
from pathlib import Path
from typing import Any, Final

from tests.support.fences import code_blocks

DOCS: Final = Path(__file__).parents[2] / "docs"


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language, in their order."""
    found = code_blocks(page, language)
    assert found, f"{page} has no block of {language}"
    return found


async def run_python(code: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run a block as a notebook does, with ``await`` at its top; return its names."""
    compiled = compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(compiled, names)  # noqa: S307  # our own page
    if inspect.isawaitable(outcome):
        await outcome
    return names
