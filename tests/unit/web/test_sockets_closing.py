"""Closed sockets: the code the client sees, and what the log says."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from tests.support.http_callers import token
from tests.support.served_sockets import PATH as _PATH
from tests.support.served_sockets import WITHIN_S as _WITHIN_S
from tests.support.served_sockets import code as _code
from tests.support.served_sockets import event as _event
from tests.support.served_sockets import served as _served
from tests.support.served_sockets import until as _until
from workers.estimation.learner import LearnerKey
from workers.web import socket_protocol
from workers.web.sockets import serving
from workers.web.sockets.mastery import LiveMastery


async def test_given_a_token_that_expires_when_it_does_then_the_socket_is_closed() -> None:
    async with (
        _served() as served,
        served.open(_PATH, token(exp=int(time.time()) + 1)) as socket,
    ):
        assert await _code(socket.recv) == 4401


async def test_given_a_client_that_talks_too_much_then_the_socket_is_closed() -> None:
    async def say() -> None:
        await socket.send("hello")
        await asyncio.sleep(0)

    async with _served() as served, served.open(_PATH, token()) as socket:
        assert await _code(say) == 1008


async def test_given_a_long_message_when_it_arrives_then_the_socket_is_closed() -> None:
    async with _served() as served, served.open(_PATH, token()) as socket:
        await socket.send("x" * (socket_protocol.MAX_MESSAGE_BYTES + 1))
        assert await _code(socket.recv) == 1009


async def test_given_a_server_that_ends_then_sockets_are_told_to_come_again() -> None:
    async with _served() as served:
        socket = await served.open(_PATH, token()).__aenter__()
    assert await _code(socket.recv) == 1012


def _flood(live: LiveMastery) -> None:
    """More than sockets of the system take, and a queue."""
    key = LearnerKey("school-7", "student-42")
    event = _event(filling="x" * 20_000).encode()
    for _ in range(50):
        if not live.followers(key):
            return
        live.deliver(event)


async def test_given_a_slow_client_with_a_full_queue_then_it_is_closed_and_told() -> None:
    async with _served() as served, served.open(_PATH, token(), max_queue=1) as socket:
        key = LearnerKey("school-7", "student-42")
        async with asyncio.timeout(_WITHIN_S):
            while not any(follower.overflowing.is_set() for follower in served.live.followers(key)):
                _flood(served.live)
                await asyncio.sleep(0)
        assert await _code(socket.recv) == 1013


async def test_given_a_client_that_reads_nothing_then_it_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "_CLOSING_S", 0.05)
    monkeypatch.setattr(socket_protocol, "_CUT_S", 0.05)
    async with _served() as served:
        socket = await served.open(_PATH, token(), max_queue=1).__aenter__()
        async with asyncio.timeout(_WITHIN_S):
            while served.admission.inside:
                _flood(served.live)
                await asyncio.sleep(0)
        assert await _code(socket.recv) != 1000


@pytest.mark.parametrize("path", ["/v1/ws/fails", "/v1/ws/fails/at-once"])
async def test_given_a_failure_then_the_log_has_it_and_the_client_does_not(
    path: str,
) -> None:
    async with _served() as served:
        with capture_logs() as logs:
            if path.endswith("at-once"):
                assert (await served.refusal(path))[0] == 500
            else:
                async with served.open(path) as socket:
                    assert await _code(socket.recv) == 1011
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["request failed"]


async def test_given_sockets_when_logged_then_id_and_code_are_there_and_no_token() -> None:
    mine = token()
    with capture_logs() as logs:
        async with _served() as served:
            async with served.open(
                f"{_PATH}?token={mine}", additional_headers={"X-Request-ID": "req-5"}
            ) as socket:
                assert socket.response is not None
                assert socket.response.headers["x-request-id"] == "req-5"
            await _until(lambda: served.admission.inside == 0)
            await served.refusal(_PATH, "eyJforged")

    lines = [line for line in logs if line["event"] == "socket"]
    assert [(line["status"], line.get("close_code")) for line in lines] == [
        (101, 1000),
        (401, None),
    ]
    assert "eyJ" not in str(logs)
