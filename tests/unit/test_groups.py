"""Under ``--dist=loadgroup`` one process runs the tests of a group, in their order."""

import pytest

pytestmark = pytest.mark.xdist_group("groups")
_RUN: list[int] = []


@pytest.mark.parametrize("number", range(4))
def test_given_tests_of_a_group_then_one_process_runs_all_of_them(
    number: int, request: pytest.FixtureRequest
) -> None:
    _RUN.append(number)
    if request.config.getoption("loadgroup", default=False):
        assert list(range(number + 1)) == _RUN
