"""Redriving, and the remedy for letters that can't be redriven."""

from dataclasses import replace

import pytest

from contracts.streams import JOBS, shards
from tests.support.dead_letters import PLAIN, letter
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.outcome import Fate
from workers.operations.dead_letters.redriving import obstacle, preview


def test_given_a_refused_response_then_nothing_is_in_its_way() -> None:
    assert obstacle(letter()) is None
    assert obstacle(letter(fields={b"event": b"\xff"})) is None


@pytest.mark.parametrize(
    ("dead_letter", "words"),
    [
        (letter(b"?"), "not a rejection of this engine"),
        (letter(b'{"data": {"stream": "s", "entry_id": "7"}}'), "not a rejection of this engine"),
        (letter(stream=PLAIN.mastery), "mastery reconcile"),
        (letter(stream=JOBS), "POST /v1/jobs"),
        (letter(stream="practice.responses.v1.{3}"), "STREAM_SHARDS"),
        (letter(shard=shards(2)[1]), "STREAM_SHARDS"),
        (letter(fields={b"data": b"{}"}), "no field `event`"),
        (letter(entry_id="253402300800000-0"), "not a time"),
    ],
)
def test_given_what_can_not_be_sent_again_then_the_reason_names_the_remedy(
    dead_letter: DeadLetter, words: str
) -> None:
    assert words in (obstacle(dead_letter) or "")
    (outcome,) = preview([dead_letter])
    assert (outcome.fate, outcome.reason) == (Fate.REFUSED, obstacle(dead_letter))


def test_given_one_that_was_sent_before_then_a_preview_says_so() -> None:
    sent = replace(letter(), redriven_as="1795259999999-3")
    fresh, known = preview([letter(), sent])
    assert (fresh.fate, fresh.redriven_as) == (Fate.REDRIVEN, None)
    assert (known.fate, known.redriven_as) == (Fate.ALREADY_REDRIVEN, "1795259999999-3")
    assert known.letter.redriven_at == "2026-11-21T11:19:59.999Z"
