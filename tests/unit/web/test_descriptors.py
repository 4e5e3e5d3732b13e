"""The limit of open files, and how many connections it pays for."""

import resource

import pytest
from structlog.testing import capture_logs

from workers.web.descriptors import affordable


@pytest.mark.parametrize(
    ("soft", "hard", "set_to", "connections"),
    [
        (1_024, 4_096, 2_256, 1_000),
        (1_024, resource.RLIM_INFINITY, 2_256, 1_000),
        (1_024, 1_024, 1_024, 384),
        (1_024, 2_000, 2_000, 872),
        (64, 64, 64, 1),
        (2_256, 4_096, None, 1_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, 1_000),
    ],
)
def test_given_a_limit_of_open_files_then_it_is_raised_as_far_as_needed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, set_to: int | None, connections: int
) -> None:
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: done.append(limits))
    with capture_logs() as logs:
        assert affordable(1_000) == connections
    assert done == ([] if set_to is None else [(set_to, hard)])
    assert [line["event"] for line in logs] == (
        ["http_connections_limited"] if connections < 1_000 else []
    )
