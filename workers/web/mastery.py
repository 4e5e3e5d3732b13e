"""`/v1/students/{student_id}/mastery`: current values, and where the stream goes on from them."""

from collections.abc import Collection
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.asyncio import Redis
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contracts.mastery import Interval
from contracts.streams import shard_of, shards
from workers.common.errors import StreamRefused, Unavailable
from workers.common.times import from_us
from workers.estimation.ability import AbilityEstimate
from workers.estimation.learner import LearnerKey
from workers.ledger.current import (
    BEGINNING,
    CurrentLedger,
    ValuesPage,
    ValuesPlace,
)
from workers.ledger.current import CurrentAbility as Ability
from workers.ledger.current import CurrentConcept as Concept
from workers.streams.positions import positions
from workers.web.answers import CurrentAbility, CurrentMastery, MasteryPage
from workers.web.guard import Guard
from workers.web.paging import bad_cursor, cursor_of, limit_of, place_of
from workers.web.students import learner_of

PATH: Final = "/v1/students/{student_id:path}/mastery"


class _Place(BaseModel):
    """Content of a cursor: the positions of the first page, and the last values of a page."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    positions: dict[str, str]
    concept_id: str = Field(max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
    scale: str = Field(max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")


class StudentMastery:
    """The route of a student's current values.

    Args:
        guard: identifies callers.
        ledger: reads the values.
        client: a connection to the Redis of the streams.
        shard_count: ``STREAM_SHARDS``.
        delegate_roles: roles that may read any student of their tenant.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        ledger: CurrentLedger,
        client: Redis,
        shard_count: int,
        delegate_roles: Collection[str],
    ) -> None:
        self._guard = guard
        self._ledger = ledger
        self._client = client
        self._shard_count = shard_count
        self._delegate_roles = frozenset(delegate_roles)

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes for Starlette."""
        return [Route(PATH, self._read)]

    async def _read(self, request: Request) -> Response:
        caller = await self._guard.of_request(request)
        key = learner_of(caller, request.path_params["student_id"], self._delegate_roles)
        limit = limit_of(request.query_params.get("limit"))
        place = _place(request.query_params.get("cursor"))
        try:
            if place is None:
                # Before the values: what they lack is published after these positions.
                ends, after = await positions(self._client, [self._stream(key)]), BEGINNING
            else:
                ends, after = place.positions, ValuesPlace(place.concept_id, place.scale)
            page = await self._ledger.values(key, limit, after)
        except (Unavailable, StreamRefused):
            raise HTTPException(
                503,
                "The ledger or Redis can't be reached at the moment: try again later.",
                {"Retry-After": "5"},
            ) from None
        answer = _answer(key, ends, page)
        return Response(answer.model_dump_json(), media_type="application/json")

    def _stream(self, key: LearnerKey) -> str:
        return shards(self._shard_count)[shard_of(*key, self._shard_count)].mastery


def _place(cursor: str | None) -> _Place | None:
    if cursor is None:
        return None
    try:
        return _Place.model_validate(place_of(cursor))
    except (ValidationError, ValueError):
        raise bad_cursor() from None


def _answer(key: LearnerKey, ends: dict[str, str], page: ValuesPage) -> MasteryPage:
    following = None
    if page.last is not None:
        following = cursor_of({"positions": ends, **page.last._asdict()})
    return MasteryPage(
        tenant_id=key.tenant_id,
        student_id=key.student_id,
        positions=ends,
        mastery=[_mastery(row) for row in page.concepts],
        abilities=[_ability(row) for row in page.abilities],
        next_cursor=following,
    )


def _mastery(row: Concept) -> CurrentMastery:
    return CurrentMastery(
        concept_id=row.concept_id,
        mastery=row.mastery,
        mastery_interval=None if row.interval is None else _interval(row.interval),
        mastered=row.mastered,
        attempts=row.attempts,
        version=row.version,
        last_answered_at=from_us(row.answered_at_us),
        parameters_version=row.parameters_version,
    )


def _ability(row: Ability) -> CurrentAbility:
    return CurrentAbility(
        scale=row.scale,
        theta=row.theta,
        standard_error=row.standard_error,
        interval=_interval(AbilityEstimate(row.theta, row.standard_error).interval),
        person_fit=row.person_fit,
        version=row.version,
    )


def _interval(ends: tuple[float, float]) -> Interval:
    low, high = ends
    return Interval(low=low, high=high)
