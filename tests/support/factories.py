"""Make valid events, logs and hypothesis strategies, the same in each run."""

import copy
import json
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import FEATURES, PredictionWeights
from workers.estimation.learner import Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import ConceptOffset, ScaleParameters

MISSING: Final = object()
"""Value that removes a field."""

ISSUER: Final = "https://project.supabase.co/auth/v1"
START: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
START_US: Final = int(START.timestamp()) * 1_000_000

_NAMESPACE: Final = uuid.UUID("6d617374-6572-4579-8000-000000000000")


@lru_cache(maxsize=100_000, typed=True)
def uuid_of(*parts: object) -> str:
    """Return the fixed UUID of these parts, canonical and in lower case."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def moment(seconds: float = 0.0) -> str:
    """Return RFC 3339 text of the time this many seconds after `START`."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")[:23] + "Z"


def claims(student_id: str = "student-42", tenant_id: str = "school-7", **changes: Any) -> Any:
    """Make claims of a student, issued at `START` and valid for an hour."""
    issued = int(START.timestamp()) - 60
    return _with(
        {
            "sub": student_id,
            "iss": ISSUER,
            "aud": "authenticated",
            "role": "authenticated",
            "iat": issued,
            "exp": issued + 3600,
            "tenant_id": tenant_id,
        },
        changes,
    )


def response(student_id: str = "student-42", number: int = 0, **changes: Any) -> Any:
    """Make a right answer: number k of the student, k seconds after `START`."""
    return _with(
        {
            "response_id": uuid_of("response", student_id, number),
            "student_id": student_id,
            "session_id": "s-9",
            "item_id": "q-101",
            "concept_ids": ["fractions.add"],
            "scale": "math",
            "correct": True,
            "answered_at": moment(number),
            "response_time_ms": 8200,
            "attempt": 1,
            "hints_used": 0,
        },
        changes,
    )


def event(
    student_id: str = "student-42",
    number: int = 0,
    *,
    tenant_id: str = "school-7",
    claim_changes: dict[str, Any] | None = None,
    envelope_changes: dict[str, Any] | None = None,
    **changes: Any,
) -> Any:
    """Make a valid ``practice.response.recorded.v1``; `changes` are fields of its response.

    Args:
        student_id: the student, who also reports.
        number: number of the student's answer; determines its id and time.
        tenant_id: the tenant in the claims.
        claim_changes, envelope_changes: fields of claims and envelope; `MISSING` removes one.
        changes: fields of the response; `MISSING` removes one.
    """
    return _with(
        {
            "specversion": "1.0",
            "id": uuid_of("event", student_id, number),
            "source": "/express/practice",
            "type": "practice.response.recorded.v1",
            "subject": student_id,
            "time": moment(number),
            "datacontenttype": "application/json",
            "correlationid": "req-7f3a",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "data": {
                "claims": _with(claims(student_id, tenant_id), claim_changes or {}),
                "response": response(student_id, number, **changes),
            },
        },
        envelope_changes or {},
    )


def event_json(student_id: str = "student-42", number: int = 0, **changes: Any) -> bytes:
    """Make `event` as the bytes that a publisher adds to the stream."""
    return json.dumps(event(student_id, number, **changes)).encode()


def changed(original: Any, path: str, value: Any) -> Any:
    """Copy an event with another value at a dotted path; `MISSING` removes the field."""
    copied = copy.deepcopy(original)
    *parents, name = path.split(".")
    place = copied
    for parent in parents:
        place = place[parent]
    if value is MISSING:
        del place[name]
    else:
        place[name] = value
    return copied


def _with(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**fields, **changes}.items() if value is not MISSING}


def answer(
    number: int,
    *,
    concepts: Sequence[str] = ("c",),
    score: float = 1.0,
    scale: str = "default",
    session: str | None = None,
    at: int | None = None,
    item: str | None = None,
) -> Response:
    """Make an answer for the fold: number k, k seconds after `START`, or at second `at`."""
    second = number if at is None else at
    return Response(
        uuid_of("answer", number),
        session,
        item or f"item-{number % 7}",
        tuple(concepts),
        scale,
        score,
        START_US + second * 1_000_000,
    )


def learner_log(length: int, seed: int = 0, concepts: int = 3) -> list[Response]:
    """Make a learner's log in the learner's own order: mixed concepts, scales and sessions."""
    draw = random.Random(seed)
    names = [f"c{k}" for k in range(concepts)]
    return [
        answer(
            number,
            concepts=draw.sample(names, draw.choice((1, 1, 1, min(2, concepts)))),
            score=draw.choice((0.0, 1.0, 1.0, round(draw.random(), 2))),
            scale=draw.choice(("math", "math", "verbal")),
            session=draw.choice((None, f"s{number // 10}")),
        )
        for number in range(length)
    ]


def rows(log: Sequence[Response]) -> list[dict[str, Any]]:
    """Convert answers to rows of ``student_responses``, for the oracle."""
    return [
        {
            "response_id": response.response_id,
            "session_id": response.session_id,
            "item_id": response.item_id,
            "concept_ids": list(response.concept_ids),
            "scale": response.scale,
            "score": response.score,
            "answered_at": response.answered_at_us,
        }
        for response in log
    ]


def scores() -> st.SearchStrategy[float]:
    """Draw right, wrong or any partial credit."""
    return st.one_of(st.sampled_from((0.0, 1.0)), st.floats(0.0, 1.0, allow_nan=False))


@st.composite
def logs(draw: st.DrawFn, max_size: int = 25) -> list[Response]:
    """Draw a learner's log, each answer once: few concepts and times, so that they collide."""
    ids = draw(st.lists(st.uuids(), unique=True, min_size=1, max_size=max_size))
    return [
        Response(
            str(id_),
            draw(st.sampled_from((None, "s1", "s2"))),
            draw(st.sampled_from(("i1", "i2"))),
            tuple(draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=3))),
            draw(st.sampled_from(("default", "math"))),
            draw(scores()),
            START_US + draw(st.integers(0, 8)),
        )
        for id_ in ids
    ]


@st.composite
def bkt_parameters(draw: st.DrawFn) -> BktParameters:
    """Draw valid BKT parameters; learning and forgetting may be absent or nearly certain."""
    inside = st.floats(1e-6, 1 - 1e-6)
    chance = st.one_of(st.just(0.0), st.floats(0.0, 1 - 1e-6).filter(lambda p: p == 0 or p > 1e-6))
    guess = draw(st.floats(1e-6, 0.99))
    slip = draw(st.floats(1e-6, 0.999)) * (1.0 - guess)
    return BktParameters(
        draw(inside), draw(chance), guess, slip, draw(chance), covariance=draw(covariances(5))
    )


@st.composite
def covariances(draw: st.DrawFn, size: int) -> tuple[tuple[float, ...], ...]:
    """Draw no covariance, or one of this many parameters: L·Lᵀ, of any rank."""
    if draw(st.booleans()):
        return ()
    number = st.sampled_from((0.0, 0.1, -0.4, 1.0, 30.0))
    root = np.array([draw(st.lists(number, min_size=size, max_size=size)) for _ in range(size)])
    matrix = np.tril(root) @ np.tril(root).T
    return tuple(map(tuple, ((matrix + matrix.T) / 2.0).tolist()))


@st.composite
def item_parameters(draw: st.DrawFn) -> ItemParameters:
    """Draw a valid item: one to four parameters, steps of credit, own guess and slip."""
    lower = draw(st.sampled_from((0.0, 0.25)))
    upper = draw(st.sampled_from((1.0, 0.9)))
    steps = draw(st.lists(st.floats(-4.0, 4.0), max_size=3, unique_by=lambda b: round(b, 3)))
    guess = draw(st.one_of(st.none(), st.floats(1e-6, 0.9)))
    return ItemParameters(
        draw(st.floats(-5.0, 5.0)),
        draw(st.floats(0.05, 5.0)),
        lower,
        upper,
        tuple(sorted(steps)),
        draw(st.sampled_from(("graded", "partial_credit"))),
        guess,
        None if guess is None else draw(st.floats(1e-6, 0.999)) * (1.0 - guess),
    )


@st.composite
def concept_offsets(draw: st.DrawFn) -> ConceptOffset:
    """Draw a valid offset of a concept."""
    return ConceptOffset(
        draw(st.one_of(st.just(0.0), st.floats(1e-4, 4.0))),
        draw(st.sampled_from((0.0, 0.02, 1.0))),
        draw(st.floats(-0.5, 0.5)),
        draw(st.sampled_from((0.0, 0.5, 0.95))),
    )


@st.composite
def prediction_weights(draw: st.DrawFn) -> PredictionWeights:
    """Draw valid weights of a last step."""
    count = len(FEATURES)
    return PredictionWeights(*draw(st.lists(st.floats(-3.0, 3.0), min_size=count, max_size=count)))


@st.composite
def scale_parameters(draw: st.DrawFn) -> ScaleParameters:
    """Draw a valid calibrated scale: ability predicts, or a last step, or mastery alone."""
    prediction = draw(st.one_of(st.none(), prediction_weights()))
    return ScaleParameters(
        draw(st.floats(-3.0, 3.0)),
        draw(st.floats(0.01, 9.0)),
        draw(st.sampled_from((0.0, 0.01, 1.0))),
        draw(item_parameters()),
        draw(concept_offsets()),
        prediction is None and draw(st.booleans()),
        prediction,
    )


@st.composite
def calibrated_parameters(draw: st.DrawFn) -> Parameters:
    """Draw valid parameters of the concepts, items and scales of `logs`, some left to the means."""
    concept = st.builds(
        ConceptParameters,
        st.one_of(st.none(), bkt_parameters()),
        st.one_of(st.none(), item_parameters()),
        st.one_of(st.none(), concept_offsets()),
        st.one_of(st.none(), prediction_weights()),
    )
    return Parameters(
        draw(st.integers(1, 9)),
        draw(st.floats(0.1, 0.99)),
        draw(bkt_parameters()),
        draw(st.dictionaries(st.sampled_from("abc"), concept)),
        draw(st.dictionaries(st.just("i1"), item_parameters())),
        draw(st.dictionaries(st.just("math"), scale_parameters())),
        draw(st.one_of(st.none(), scale_parameters())),
    )
