"""Attacks with what an eavesdropper has: whole events of a victim's."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.security.forge import ATTACKER, TEACHER, TENANT, VICTIM, Attack, Forge, Harmless
from tests.support.factories import uuid_of

_STOLEN: Final = uuid_of("good", TENANT, VICTIM, 0)
"""The id of a response of the victim's."""


def replay_attacks(overheard: Callable[[], bytes]) -> Iterator[Attack]:
    """All of them.

    Args:
        overheard: the event of that response as the victim published it.
    """
    yield Attack("the victim's event once more", None, lambda _: overheard())

    def altered(**changes: Any) -> Callable[[Forge], bytes]:
        def make(_: Forge) -> bytes:
            made = json.loads(overheard())
            made["data"]["response"] |= changes
            return json.dumps(made).encode()

        return make

    for changes in (
        {"score": 0.0},
        {"item_id": "q-99"},
        {"concept_ids": ["c-2"]},
        {"session_id": "s-99"},
        {"scale": "reading"},
        {"answered_at": "2026-01-01T00:00:00Z"},
    ):
        yield Attack(f"the victim's event with {changes}", "conflict", altered(**changes))
    yield Attack("the victim's event for another student", "forbidden", altered(student_id="bob"))
    yield Attack(
        "the victim's token beside own claims",
        "unauthenticated",
        lambda f: f.event(f.claims(), json.loads(overheard())["data"]["token"]),
    )
    yield Attack(
        "the victim's response id for oneself",
        Harmless(TENANT, ATTACKER),
        lambda f: f.event(f.claims(), response_id=_STOLEN),
    )
    yield Attack(
        "the victim's response id for the same name in another tenant",
        Harmless("school-8", VICTIM),
        lambda f: f.event(f.claims(VICTIM, "school-8"), response_id=_STOLEN),
    )
    yield Attack(
        "the victim's response id in capitals",
        "conflict",
        lambda f: f.event(
            f.claims(TEACHER, role="teacher"), student_id=VICTIM, response_id=_STOLEN.upper()
        ),
    )
    yield Attack(
        "the victim's event id for oneself",
        Harmless(TENANT, ATTACKER),
        lambda f: f.event(f.claims(), envelope={"id": json.loads(overheard())["id"]}),
    )
