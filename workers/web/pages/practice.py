"""The practice page of `mastery dev`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from workers.web.pages.rendering import page


def practice_routes() -> list[BaseRoute]:
    """Return the route of the practice page at ``/``; put it before that of the front page.

    The page calls the routes below ``/dev`` and the live socket, and loads the files below
    ``/static`` that every public listener serves.
    """

    async def practice(_: Request) -> Response:
        # Plain HTML without a variable, because the Express example serves the same file.
        return page("practice.html")

    return [Route("/", practice)]
