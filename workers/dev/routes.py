"""HTTP routes of `mastery dev` alone: tokens, demo students and their answers.

A worker in any other environment does not have them.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers.common.errors import StreamRefused, Unavailable
from workers.dev.curriculum import curriculum_document
from workers.dev.issuer import Issuer
from workers.dev.practice import publish, response_event
from workers.dev.settings import KEY_SET_PATH
from workers.dev.students import DEMO_IDS, DEMO_STUDENTS

_NO_STORE: Final = {"Cache-Control": "no-store"}


class DevRoutes:
    """The routes below ``/dev``.

    Args:
        issuer: signs tokens.
        client: a connection to the Redis of the streams.
        about: the answer of ``GET /dev``.
    """

    def __init__(self, issuer: Issuer, client: Redis, about: Mapping[str, Any]) -> None:
        self._issuer = issuer
        self._client = client
        self._about = dict(about)

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes for Starlette."""
        return [
            Route("/dev", self._tell),
            Route(KEY_SET_PATH, self._key_set),
            Route("/dev/students", self._students),
            Route("/dev/curriculum", self._curriculum),
            Route("/dev/token", self._token, methods=["POST"]),
            Route("/dev/responses", self._respond, methods=["POST"]),
        ]

    async def _tell(self, _: Request) -> Response:
        return JSONResponse(self._about)

    async def _key_set(self, _: Request) -> Response:
        return JSONResponse(self._issuer.key_set())

    async def _students(self, _: Request) -> Response:
        return JSONResponse({"students": [student._asdict() for student in DEMO_STUDENTS]})

    async def _curriculum(self, _: Request) -> Response:
        return JSONResponse(curriculum_document())

    async def _token(self, request: Request) -> Response:
        body = await _body(request)
        token = self._issuer.sign(self._issuer.claims(_demo_student(body)))
        return JSONResponse({"token": token}, headers=_NO_STORE)

    async def _respond(self, request: Request) -> Response:
        response = await _body(request)
        _demo_student(response)
        event = response_event(self._issuer, response, request.state.request_id)
        try:
            sent = await publish(self._client, event)
        except (Unavailable, StreamRefused) as error:
            raise HTTPException(503, f"The answer was not published: {error}.") from None
        return JSONResponse(sent._asdict(), HTTPStatus.ACCEPTED, headers=_NO_STORE)


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise HTTPException(422, "The body must be a JSON object.")
    return body


def _demo_student(body: Mapping[str, Any]) -> str:
    student_id = body.get("student_id")
    if not isinstance(student_id, str):
        raise HTTPException(422, "student_id is missing or no string: GET /dev/students names all.")
    if student_id not in DEMO_IDS:
        raise HTTPException(
            403,
            "Only demo students get tokens over HTTP (GET /dev/students names all): for any other "
            "student run `mastery token STUDENT`.",
        )
    return student_id
