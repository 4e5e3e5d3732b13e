"""Checks that every rendered page must pass."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

EVIL = "<script>alert('1')</script>&"
"""Text that would run if a page did not escape it."""


class _Outside(HTMLParser):
    """Collect everything a page would load or run, and check that all tags are closed."""

    void = frozenset(("meta", "br", "link", "img"))

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        if tag in {"script", "link", "img", "iframe", "object", "embed", "image", "use"}:
            self.found.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href"} or name.startswith("on"):
                self.found.append(f"{tag} {name}={value}")
            if name == "id":
                self.ids.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> _Outside:
    parser = _Outside()
    parser.feed(html)
    assert parser.open == []
    return parser


def check_page(html: str) -> None:
    """Check that a page is well-formed, has unique ids, and loads and runs nothing."""
    page = parsed(html)
    assert page.found == []
    assert len(page.ids) == len(set(page.ids))
    assert "url(" not in html
    assert "@import" not in html
    assert "//" not in re.sub(r"<!doctype.*?>", "", html)
    assert not re.search(r"\bnan(?![a-z])", html.lower())


def check_figures(html: str, fewest: int) -> None:
    """Check that each figure has a title and a description that stand for it."""
    figures = re.findall(r'<svg [^>]*role="img".*?</svg>', html, flags=re.DOTALL)
    assert len(figures) >= fewest
    for figure in figures:
        svg = ET.fromstring(figure)  # noqa: S314  # our own text
        title, description = svg[0], svg[1]
        assert (title.tag, description.tag) == ("title", "desc")
        assert title.text
        assert description.text
        assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def text_of(html: str) -> str:
    """Collapse white space, as a browser does."""
    return " ".join(html.split())


def check_escaped(html: str, fewest: int = 1) -> None:
    """Check that a page shows `EVIL` as text."""
    check_page(html)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= fewest
