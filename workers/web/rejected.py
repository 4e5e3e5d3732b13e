"""`/v1/rejected`: look at the dead letters of the caller's tenant, without any token."""

from collections.abc import Callable, Collection
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers.common.errors import StreamRefused, Unavailable
from workers.operations.dead_letters.dead_letter import DeadLetterId
from workers.operations.dead_letters.display import row, whole
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.selection import Selection
from workers.web.guard import Guard
from workers.web.jobs import require_role

_LISTED: Final = 50


class Rejected:
    """The routes below ``/v1/rejected``.

    Args:
        guard: identifies callers.
        letters: returns a reader of the dead letters of the shards known now.
        roles: the roles that may look.
    """

    def __init__(
        self, *, guard: Guard, letters: Callable[[], DeadLetters], roles: Collection[str]
    ) -> None:
        self._guard = guard
        self._letters = letters
        self._roles = frozenset(roles)

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes for Starlette."""
        return [Route("/v1/rejected", self._newest), Route("/v1/rejected/{id}", self._one)]

    async def _newest(self, request: Request) -> Response:
        tenant_id = await self._tenant_of(request)
        try:
            letters = await self._letters().newest(Selection(tenant_id=tenant_id), _LISTED)
        except (Unavailable, StreamRefused):
            raise _away() from None
        return JSONResponse({"rejected": [row(letter) for letter in letters]})

    async def _one(self, request: Request) -> Response:
        tenant_id = await self._tenant_of(request)
        try:
            letter_id = DeadLetterId.parse(request.path_params["id"])
            letter = (await self._letters().get([letter_id])).get(letter_id)
        except ValueError:
            letter = None
        except (Unavailable, StreamRefused):
            raise _away() from None
        if letter is None or letter.claimed().tenant_id != tenant_id:
            raise HTTPException(
                404, "Not found: this tenant has no dead letter with this id; see /v1/rejected."
            )
        return JSONResponse(whole(letter))

    async def _tenant_of(self, request: Request) -> str:
        caller = await self._guard.of_request(request)
        require_role(caller, self._roles)
        return caller.identity.tenant_id


def _away() -> HTTPException:
    return HTTPException(
        503, "Redis can't be reached at the moment: try again later.", {"Retry-After": "5"}
    )
