"""Make events of students who have a token."""

import json
import random
import uuid
from collections.abc import Mapping
from typing import Any

from workers.common.times import iso


def token_event(
    claims: Mapping[str, Any],
    token: str | None,
    number: int = 1,
    chance: random.Random | None = None,
    **changes: Any,
) -> bytes:
    """Make the event of a student's answer, at most some minutes after the token was issued."""
    chance = chance or random.Random(f"{claims['sub']}/{number}")
    concept = chance.randrange(40)
    response = {
        "response_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "student_id": claims["sub"],
        "session_id": f"{claims['sub']}-1",
        "item_id": f"q-{concept}-{chance.randrange(5)}",
        "concept_ids": [f"concept-{concept}"],
        "scale": "math",
        "correct": chance.random() < 0.7,
        "answered_at": iso((int(claims["iat"]) + number % 200) * 1_000_000),
        **changes,
    }
    data: dict[str, Any] = {"claims": dict(claims), "response": response}
    if token is not None:
        data["token"] = token
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "source": "/tests",
            "type": "practice.response.recorded.v1",
            "data": data,
        }
    ).encode()
