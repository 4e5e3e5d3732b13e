"""The code of a page of the docs, so that tests run what readers copy."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any, Final

DOCS: Final = Path(__file__).parents[2] / "docs"


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language, in their order."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no block of {language}"
    return found


async def run_python(code: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run a block as a notebook does, with ``await`` at its top; return its names."""
    compiled = compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(compiled, names)  # noqa: S307  # our own page
    if inspect.isawaitable(outcome):
        await outcome
    return names
