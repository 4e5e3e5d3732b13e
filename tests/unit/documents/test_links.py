"""Links between pages lead to files and headings that exist."""

import re
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[3]
_PAGES: Final = sorted(
    [
        *_ROOT.glob("*.md"),
        *_ROOT.glob("docs/**/*.md"),
        _ROOT / "supabase" / "README.md",
        _ROOT / "contracts" / "typescript" / "README.md",
    ]
)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?)$", re.MULTILINE)
_CODE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Return the names of the headings, as GitHub makes them; the second of a name ends in -1."""
    anchors: set[str] = set()
    for heading in _HEADING.findall(_CODE.sub("", page.read_text("utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        plain = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        anchor = plain
        while anchor in anchors:
            number += 1
            anchor = f"{plain}-{number}"
        anchors.add(anchor)
    return anchors


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_given_a_page_then_each_link_in_it_leads_somewhere(page: Path) -> None:
    wrong = []
    for markdown, image in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
        target, _, anchor = (markdown or image).partition("#")
        if "://" in target:
            continue
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            wrong.append(markdown or image)
    assert wrong == []
