"""Dead letters as people see them: nothing of an event moves their terminal."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from tests.support.dead_letters import ENTRY, LETTER, PLAIN, holding, letter
from tests.support.factories import changed, event
from workers.cli.plain import plain
from workers.cli.rejected.view import JsonListing, PlainListing, TableListing, detail
from workers.operations.dead_letters.dead_letter import DeadLetterId
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


@pytest.mark.parametrize("columns", [10, 40, 80, 120, 200])
def test_given_a_terminal_of_any_width_then_no_id_is_cut(columns: int) -> None:
    sharded = f"1023:{LETTER}"
    output = io.StringIO()
    listing = TableListing(Console(file=output, width=columns, markup=False, highlight=False))
    listing.add([letter(), replace(letter(), id=DeadLetterId.parse(sharded))])
    listing.close()
    first = [line.split(" ")[0] for line in output.getvalue().splitlines()]
    assert [text for text in first if text] == ["id", LETTER, sharded]


def test_given_a_narrow_terminal_then_what_wraps_is_still_whole() -> None:
    output = io.StringIO()
    listing = TableListing(Console(file=output, width=80, markup=False, highlight=False))
    listing.add([letter(reason="one two three")])
    listing.close()
    for text in ("conflict", "school-7", "student-", "2026-11-", "three"):
        assert text in output.getvalue()


def test_given_a_pipe_then_each_letter_is_one_plain_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    listing = PlainListing()
    listing.add([replace(letter(reason="a\tb\nc"), redriven_as="1795259999999-3"), letter(b"?")])
    listing.close()
    first, second = capsys.readouterr().out.splitlines()
    assert first.split("\t") == [
        LETTER,
        "conflict",
        "school-7",
        "student-42",
        "2026-11-21T10:00:00.000Z",
        "2026-11-21T11:19:59.999Z",
        "a\\tb\\nc",
    ]
    assert second.split("\t") == [LETTER, *["-"] * 6]


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
