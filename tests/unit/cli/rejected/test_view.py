"""Dead letters as people see them: nothing of an event moves their terminal."""

import json
from dataclasses import replace

import pytest

from tests.support.dead_letters import ENTRY, LETTER, PLAIN, holding, letter
from tests.support.factories import changed, event
from workers.cli.rejected.view import JsonListing, TableListing, detail, plain
from workers.operations.dead_letters.display import row, whole

HOSTILE = "a\x1b[2Jb\u202e\x9b\u2028[red]c"


def test_given_a_letter_then_its_row_has_what_others_read() -> None:
    dead_letter = replace(letter(), redriven_as="1795259999999-3")
    assert row(dead_letter) == {
        "id": LETTER,
        "entry_id": ENTRY,
        "stream": PLAIN.responses,
        "code": "conflict",
        "status": 409,
        "reason": "a reason",
        "field": "data.x",
        "tenant_id": "school-7",
        "student_id": "student-42",
        "deliveries": 1,
        "accepted_at": "2026-11-21T09:30:00.123Z",
        "rejected_at": "2026-11-21T10:00:00.000Z",
        "redriven_at": "2026-11-21T11:19:59.999Z",
        "redriven_as": "1795259999999-3",
    }


def test_given_a_letter_that_says_nothing_then_its_row_has_only_the_id() -> None:
    fields = row(letter(b"?"))
    assert fields.pop("id") == LETTER
    assert set(fields.values()) == {None}
    assert whole(letter(b"?"))["event"] is None


def test_given_a_letter_then_the_whole_shows_its_event_without_the_token() -> None:
    sent = changed(event(), "data.token", "secret")
    document = whole(holding(sent))
    assert document["event"] == changed(event(), "data.token", "(redacted)")
    assert document["rejected_at"] == "2026-11-21T10:00:00.000Z"
    assert "event_base64" not in document


def test_given_a_listing_as_json_then_it_is_one_array_however_it_came(
    capsys: pytest.CaptureFixture[str],
) -> None:
    JsonListing().close()
    assert json.loads(capsys.readouterr().out) == []
    listing = JsonListing()
    listing.add([letter(), letter()])
    listing.add([])
    listing.add([letter(b"?")])
    listing.close()
    assert [shown["code"] for shown in json.loads(capsys.readouterr().out)] == [
        "conflict",
        "conflict",
        None,
    ]


def test_given_a_listing_for_people_then_each_letter_has_a_line_or_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    TableListing().close()
    assert capsys.readouterr().out == "no matching dead letters\n"
    listing = TableListing()
    listing.add([letter()] * 501)
    assert capsys.readouterr().out.count(LETTER) == 501
    listing.close()
    assert capsys.readouterr().out == ""


def test_given_a_hostile_event_then_the_terminal_gets_none_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    dead_letter = letter(
        fields={b"event": json.dumps(event(student_id=HOSTILE, tenant_id="x" * 300)).encode()},
        reason=HOSTILE,
    )
    listing = TableListing()
    listing.add([dead_letter])
    listing.close()
    for text in (capsys.readouterr().out, detail(dead_letter)):
        assert plain(text, keep="\n") == text
        assert "[red]c" in text


def test_given_a_detail_then_it_is_for_people() -> None:
    text = detail(letter())
    assert text.split()[:2] == ["id", LETTER]
    assert '"item_id": "q-101"' in text
    assert "redriven_as" not in text
    assert "no field `event`" in detail(letter(fields={b"data": b"{}"}))
    assert "not JSON" in detail(letter(fields={b"event": b"not JSON"}))


def test_given_text_then_only_what_is_no_text_is_written_out() -> None:
    assert plain("Zoë 数 [b]") == "Zoë 数 [b]"
    assert plain("a\nb\x1b\x7f\ud800") == "a\\nb\\x1b\\x7f\\ud800"
    assert plain("a\nb", keep="\n") == "a\nb"
