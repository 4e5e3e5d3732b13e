"""Code blocks of Markdown pages."""

import re
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(page: Path, language: str, *, heading: str | None = None) -> list[str]:
    """Return the text of the code blocks of a language.

    Args:
        page: the Markdown file.
        language: such as ``sh``.
        heading: only blocks of the section below this heading of the second level.
    """
    text = page.read_text(encoding="utf-8")
    if heading is not None:
        _, mark, rest = text.partition(f"\n## {heading}\n")
        assert mark, f"{page} has no section {heading}"
        text = rest.partition("\n## ")[0]
    return [block for name, block in _FENCE.findall(text) if name == language]
