"""Render pages that load our own files alone."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse
from starlette.routing import Mount

from workers.web.compressed import CompressedFiles

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC: Final = Path(__file__).parents[1] / "static" / "pages"

_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    # Covers the sockets of the same host too (CSP Level 3, section 6.7.2.8).
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
PAGE_POLICY: Final = "; ".join(f"{directive} {source}" for directive, source in _SOURCES.items())
"""Content-Security-Policy of the pages: only our own files, and nothing inline."""

_HEADERS: Final = {
    "Content-Security-Policy": PAGE_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page(template: str, **values: Any) -> HTMLResponse:
    """Render a page.

    Args:
        template: its file in `workers/web/pages`.
        values: variables of the template; each is escaped where it is shown.
    """
    text = _environment().get_template(template).render(values)
    return HTMLResponse(text, headers=_HEADERS)


def static_files() -> Mount:
    """Return the route of the style sheets and scripts that the pages load."""
    return Mount("/static", CompressedFiles(STATIC))


@cache
def _environment() -> "Environment":
    # Imported here because most workers never render a page.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("workers", "web/pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
