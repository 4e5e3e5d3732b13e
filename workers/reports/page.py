"""One HTML file that needs nothing else: no network, no script, no outside font."""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template

from workers.reports.colours import colour_rules


def page(
    title: str,
    lead: str,
    sections: Iterable[str],
    footer: str,
    generated_at: datetime,
    *,
    colours: Iterable[int] = (),
) -> str:
    """The whole document.

    Args:
        title: its heading, plain text.
        lead: a sentence below it, plain text.
        sections: HTML.
        footer: HTML; what the figures mean and where their methods come from.
        generated_at: when it was made.
        colours: numbers of the colours of its lines.
    """
    here = files("workers.reports")
    return Template(here.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        lead=escape(lead),
        style=here.joinpath("page.css").read_text(encoding="utf-8") + colour_rules(colours),
        sections="\n".join(sections),
        footer=footer,
        generated_at=escape(generated_at.strftime("%d %B %Y, %H:%M %Z").strip(" ,")),
    )
