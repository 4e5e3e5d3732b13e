"""Pages in a real browser that can reach nothing but the page's own server."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_SCRIPT = Path(__file__).parents[1] / "acceptance" / "node" / "page.cjs"
_SERIOUS = frozenset(("serious", "critical"))
VIEWS: Final = ((1400, "light"), (390, "dark"))
"""Widths and colour schemes in which pages are looked at."""


class Browser:
    """Opens pages in Chromium.

    Args:
        node_modules: the packages of `tests/acceptance/node`.
        chromium: the executable.
    """

    def __init__(self, node_modules: Path, chromium: Path) -> None:
        self._node_modules = node_modules
        self._chromium = chromium

    async def open(self, url: str, *words: str, **plan: Any) -> dict[str, Any]:
        """Open a page, wait for words, and act; `page.cjs` describes the plan and the answer."""
        whole = {"url": url, "words": words, "views": VIEWS, "axe": True, **plan}
        process = await asyncio.create_subprocess_exec(
            "node", _SCRIPT, self._node_modules, self._chromium, json.dumps(whole),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(), timeout=120)
        assert process.returncode == 0, errors.decode()
        seen: dict[str, Any] = json.loads(output)
        return seen


def check_seen(seen: dict[str, Any], host: str) -> None:
    """Check that a page asked only this host, said nothing wrong, fits, and is accessible."""
    assert seen["problems"] == []
    assert seen["refused"] == []
    assert {urlsplit(url).netloc for url in seen["requests"]} <= {host}
    for view in seen["views"]:
        assert view["wider"] <= 0, view["width"]
        assert [found for found in view["violations"] if found["impact"] in _SERIOUS] == []
