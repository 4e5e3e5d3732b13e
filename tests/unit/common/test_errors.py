"""The error tree: each error decides whether to wait, to reject or to stop."""

import inspect
import re

import pytest

from contracts.rejections import RejectionCode
from workers.common import errors

ALL = {
    name: member
    for name, member in vars(errors).items()
    if inspect.isclass(member) and issubclass(member, errors.MasteryError)
}
BRANCHES = [
    errors.Unavailable,
    errors.KeyUnknown,
    errors.Refused,
    errors.Unstorable,
    errors.Fatal,
]


def test_given_every_error_when_classified_then_exactly_one_branch_decides() -> None:
    for name, member in ALL.items():
        if member is not errors.MasteryError:
            assert sum(issubclass(member, branch) for branch in BRANCHES) == 1, name


def test_given_the_tree_at_the_top_of_the_file_then_it_matches_the_code() -> None:
    drawn: list[tuple[int, str]] = [
        (match.start(1), match.group(1))
        for line in (errors.__doc__ or "").splitlines()
        if (match := re.match(r"[ │├└─]*([A-Z]\w+(?:Error|[a-z]))(?:\s{2,}|$)", line))
    ]
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for column, name in drawn:
        while path and path[-1][0] >= column:
            path.pop()
        if path:
            parents[name] = path[-1][1]
        path.append((column, name))
    assert {name for _, name in drawn} == set(ALL)
    assert parents == {
        name: member.__bases__[0].__name__
        for name, member in ALL.items()
        if member is not errors.MasteryError
    }


@pytest.mark.parametrize(
    ("error", "server"),
    [
        (errors.RedisUnavailable("no route"), "redis"),
        (errors.LedgerUnavailable("no route"), "ledger"),
        (errors.GraphUnavailable("no route"), "graph"),
        (errors.KeysUnavailable("no route"), "keys"),
    ],
)
def test_given_a_server_away_when_told_then_server_and_reason_are_named(
    error: errors.Unavailable, server: str
) -> None:
    assert (error.server, error.reason) == (server, "no route")
    assert str(error) == f"{server} is unavailable: no route"


def test_given_a_refusal_when_raised_then_code_reason_and_field_are_kept() -> None:
    refusal = errors.Refused(RejectionCode.INVALID, "give one", "data.response.score")
    assert (refusal.code.status, str(refusal), refusal.field) == (
        422,
        "give one",
        "data.response.score",
    )


def test_given_every_error_when_read_then_it_says_what_it_means() -> None:
    for name, member in ALL.items():
        assert (member.__doc__ or "").strip().endswith((".", "``.")) or "Args:" in (
            member.__doc__ or ""
        ), name
