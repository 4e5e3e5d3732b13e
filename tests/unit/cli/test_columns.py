"""Columns of text: nothing is cut, and nothing of others moves the terminal."""

from workers.cli.columns import columns


def test_given_values_of_any_width_then_columns_align_and_none_is_cut() -> None:
    long = "x" * 300
    assert list(
        columns(["id", "n"], [["数学", "1"], [long, "22"], ["a\x1b", ""]], right=["n"])
    ) == [
        "id" + " " * 298 + "   n",
        "数学" + " " * 296 + "   1",
        long + "  22",
        "a\\x1b",
    ]


def test_given_no_rows_then_only_the_heads_are_left() -> None:
    assert list(columns(["id", "name"], [])) == ["id  name"]
