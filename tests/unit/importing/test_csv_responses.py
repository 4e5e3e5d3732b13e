import gzip
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from contracts.responses import Response
from workers.common.errors import InputFileError
from workers.importing.csv_responses import EPOCH, Columns, CsvResponses

HEADER = "student,item,concept,correct,order"


def written(directory: Path, *lines: str, name: str = "responses.csv") -> Path:
    path = directory / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_given_default_columns_when_read_then_rows_are_responses(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "007,q-1,fractions,1,0", "", "007,q-2,a~~b~~a,0.25,3")
    first, second = CsvResponses(path)
    assert (first.row, first.student_id, first.item_id) == (1, "007", "q-1")
    assert (first.concept_ids, first.score, first.answered_at) == (("fractions",), 1.0, EPOCH)
    assert (second.row, second.concept_ids, second.score) == (2, ("a", "b"), 0.25)
    assert second.answered_at == EPOCH + timedelta(seconds=3)
    assert CsvResponses(path).count() == 2


def test_given_a_row_when_made_fields_then_the_contract_takes_them(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "s,i,c,1,0", "s,i,c,true,1", "s,i,c,0,2", "s,i,c,0.5,3")
    models = [
        Response.model_validate({**row.fields(), "concept_ids": tuple(row.concept_ids)})
        for row in CsvResponses(path)
    ]
    assert [m.correct for m in models] == [True, True, False, None]
    assert [m.credit for m in models] == [1.0, 1.0, 0.0, 0.5]


def test_given_gzip_and_other_columns_when_read_then_the_same(tmp_path: Path) -> None:
    text = "\ufeffwhen,who,what,skill,score\n2026-01-01T01:00:05+01:00,s,i,a;b,True\n"
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    columns = Columns("who", "what", "skill", "score", time="when")
    (row,) = CsvResponses(path, columns, separator=";")
    assert row.concept_ids == ("a", "b")
    assert row.answered_at == EPOCH + timedelta(seconds=5)
    unnamed = tmp_path / "log.csv"
    unnamed.write_bytes(path.read_bytes())
    assert list(CsvResponses(unnamed, columns, separator=";")) == [row]


def test_given_the_same_rows_shuffled_when_read_then_the_same_ids(tmp_path: Path) -> None:
    lines = [f"s{n % 7},i{n % 5},c,{n % 2},{n}" for n in range(60)]
    shuffled = random.Random(3).sample(lines, len(lines))
    file = CsvResponses(written(tmp_path, HEADER, *lines, name="one.csv"))
    other = CsvResponses(written(tmp_path, HEADER, *shuffled, name="other.csv"))
    ids = {(r.student_id, r.answered_at): r.response_id for r in file}
    assert ids == {(r.student_id, r.answered_at): r.response_id for r in other}
    assert len({UUID(i) for i in ids.values()}) == 60


def test_given_rows_alike_when_read_then_each_has_its_own_id_every_time(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "s,i,c,1,0", "s,i,c,1,0", "s,i,d,0,0", "s,i,c,1,0.0")
    ids = [row.response_id for row in CsvResponses(path)]
    assert len(set(ids)) == 4
    assert ids == [row.response_id for row in CsvResponses(path)]


def refused(path: Path, columns: Columns | None = None, *, latest: datetime | None = None) -> str:
    with pytest.raises(InputFileError) as caught:
        list(CsvResponses(path, columns, latest=latest))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_given_no_file_or_a_directory_when_read_then_says_so(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "absent.csv")
    assert "Is a directory" in refused(tmp_path)


def test_given_missing_columns_then_missing_present_and_options_are_named(
    tmp_path: Path,
) -> None:
    message = refused(written(tmp_path, "user,item,skill,correct,order", "1,2,3,1,0"))
    assert "no column 'student' (another column is chosen by --student)" in message
    assert "'concept' (another column is chosen by --concept)" in message
    assert message.endswith("its columns are 'user', 'item', 'skill', 'correct', 'order'")
    with pytest.raises(InputFileError, match="--student"):
        CsvResponses(tmp_path / "responses.csv").count()


def test_given_a_time_column_when_absent_then_order_is_not_asked_for(tmp_path: Path) -> None:
    message = refused(written(tmp_path, HEADER, "s,i,c,1,0"), Columns(time="when"))
    assert "'when' (another column is chosen by --time)" in message


def test_given_other_separators_of_cells_when_read_then_hint(tmp_path: Path) -> None:
    message = refused(written(tmp_path, HEADER.replace(",", ";"), "s;i;c;1;0"))
    assert message.endswith("cells must be separated by commas")


def test_given_a_column_twice_when_read_then_says_which(tmp_path: Path) -> None:
    assert "several columns named 'item'" in refused(written(tmp_path, HEADER + ",item"))


@pytest.mark.parametrize("lines", [(), ("",)])
def test_given_an_empty_file_when_read_then_says_so(tmp_path: Path, lines: tuple[str]) -> None:
    assert "it is empty" in refused(written(tmp_path, *lines))


def test_given_a_header_alone_when_read_then_says_so(tmp_path: Path) -> None:
    assert "no row below it" in refused(written(tmp_path, HEADER))


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        (",i,c,1,0", "student", "is empty"),
        ("s" * 129 + ",i,c,1,0", "student", "1 to 128 characters"),
        ("s,\x07,c,1,0", "item", "no control character"),
        ("s,i,,1,0", "concept", "is empty"),
        ("s,i,a~~,1,0", "concept", "is empty"),
        ("s,i," + "~~".join(map(str, range(17))) + ",1,0", "concept", "names 17 concepts"),
        ("s,i,c,yes,0", "correct", "give 1 or 0"),
        ("s,i,c,1.5,0", "correct", "between 0 and 1"),
        ("s,i,c,nan,0", "correct", "between 0 and 1"),
        ("s,i,c,0_1,0", "correct", "between 0 and 1"),
        ("s,i,c,1,first", "order", "is no place in a sequence"),
        ("s,i,c,1,inf", "order", "is no place in a sequence"),
        ("s,i,c,1,1e300", "order", "outside the calendar"),
    ],
)
def test_given_a_bad_value_when_read_then_row_line_column_value_and_remedy(
    tmp_path: Path, row: str, column: str, said: str
) -> None:
    message = refused(written(tmp_path, HEADER, "s,i,c,1,0", "", row))
    assert message.startswith(f"row 2 (line 4), column '{column}': ")
    assert said in message


@pytest.mark.parametrize("cell", ["yesterday", "2026-02-30T00:00:00Z", "0001-01-01T00:00+09:00"])
def test_given_a_bad_time_when_read_then_says_what_a_time_is(tmp_path: Path, cell: str) -> None:
    path = written(tmp_path, "student,item,concept,correct,time", f"s,i,c,1,{cell}")
    assert "is no time: give one such as 2026-11-21T09:29:58Z" in refused(
        path, Columns(time="time")
    )


@pytest.mark.parametrize("cell", ["1767225600", "1767225600000", "2026-01-01 00:00:00"])
def test_given_a_number_or_no_zone_then_time_is_in_seconds_ms_or_utc(
    tmp_path: Path, cell: str
) -> None:
    path = written(tmp_path, "student,item,concept,correct,time", f"s,i,c,1,{cell}")
    (row,) = CsvResponses(path, Columns(time="time"))
    assert row.answered_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_given_answers_of_the_future_when_read_then_refused_with_remedy(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "s,i,c,1,33022537")
    latest = datetime(2026, 11, 21, tzinfo=UTC)
    assert "number each student's answers from 0" in refused(path, latest=latest)
    timed = written(tmp_path, "student,item,concept,correct,time", "s,i,c,1,2027-01-01T00:00:00Z")
    assert "in the future" in refused(timed, Columns(time="time"), latest=latest)


def test_given_a_row_of_other_length_when_read_then_says_which(tmp_path: Path) -> None:
    message = refused(written(tmp_path, HEADER, "s,i,c,1,0", "s,i,c, d,1,1"))
    assert message.startswith("row 2 (line 3) has 6 cells where the header has 5")


def test_given_not_utf8_when_read_then_byte_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(f"{HEADER}\ns,i,caf".encode() + b"\xe9,1,0\n")
    assert "byte 0xe9 is not UTF-8; save the file as UTF-8" in refused(path)


def test_given_open_quotes_when_read_then_not_csv(tmp_path: Path) -> None:
    assert "it is not CSV" in refused(written(tmp_path, HEADER, 's,i,"c,1,0'))


def test_given_no_gzip_behind_its_name_when_read_then_says_so(tmp_path: Path) -> None:
    assert "is named .gz but is not gzip" in refused(written(tmp_path, HEADER, name="a.csv.gz"))


@pytest.mark.parametrize(
    ("start", "stop", "instead"),
    [(3_000, None, b""), (-8, -4, b"\0\0\0\0"), (10, 11, b"\xff")],
    ids=["cut short", "wrong check sum", "no block of deflate"],
)
def test_given_damaged_gzip_when_read_then_says_so(
    tmp_path: Path, start: int, stop: int | None, instead: bytes
) -> None:
    rows = "".join(f"s,i,c,1,{n}\n" for n in range(5_000))
    packed = bytearray(gzip.compress(f"{HEADER}\n{rows}".encode()))
    packed[start:stop] = instead
    path = tmp_path / "a.csv.gz"
    path.write_bytes(packed)
    assert "not a whole gzip file" in refused(path)
