"""`mastery dev` as an Express developer and a page meet it: one process, nothing else installed."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import psutil  # type: ignore[import-untyped]  # has no types of its own
import pytest
from redis import Redis
from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

from contracts.mastery import MasteryChanged
from contracts.streams import MASTERY, REJECTED, RESPONSES, UNLOCKED
from tests.support.factories import uuid_of
from tests.support.whole_run import MASTERY_COMMAND

_WITHIN_S: Final = 90.0
_FOREIGN: Final = ("REDIS_", "DATABASE_", "SUPABASE_", "NEO4J_", "JWT_", "ENVIRONMENT", "HTTP_")
_CONCEPT: Final = "numbers.place-value"
_ITEM: Final = f"{_CONCEPT}/01"


@dataclass
class Dev:
    process: "subprocess.Popen[str]"
    environment: dict[str, str]
    urls: dict[str, str]

    def token(self, *arguments: str) -> str:
        """Return what `mastery token` prints in another terminal."""
        return subprocess.run(
            [MASTERY_COMMAND, "token", *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    @property
    def redis(self) -> Redis:
        return Redis.from_url(self.urls["redis_url"])

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.urls["http_url"], timeout=30)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One running `mastery dev --json`; at the end Ctrl-C leaves one line and no process."""
    home = tmp_path_factory.mktemp("home")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    environment |= {"HOME": str(home), "HTTP_PORT": "0", "TMPDIR": str(home)}
    process = subprocess.Popen(
        [MASTERY_COMMAND, "dev", "--json", "--directory", "data"],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        children = psutil.Process(process.pid).children(recursive=True)
        yield Dev(process, environment, urls)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=_WITHIN_S)
        assert (process.returncode, out, errors) == (0, "", "mastery: stopped\n")
        assert psutil.wait_procs(children, timeout=10)[1] == []
    finally:
        process.kill()
        process.wait()


def _event(student: str, token: str, number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": uuid_of("dev event", student, number),
        "source": "/express/practice",
        "type": "practice.response.recorded.v1",
        "data": {
            "claims": jwt.decode(token, options={"verify_signature": False}),
            "token": token,
            "response": {
                "response_id": uuid_of("dev", student, number),
                "student_id": student,
                "item_id": "q-101",
                "concept_ids": ["own.concept"],
                "correct": True,
                "answered_at": "2026-01-21T09:30:00Z",
            },
        },
    }


def _events(redis: Redis, stream: str, student: str, count: int) -> list[dict[str, Any]]:
    """Read a stream from its beginning until it has this many events of a student."""
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline:
        entries: Any = redis.xrange(stream)
        events = [json.loads(fields[b"event"]) for _, fields in entries]
        own = [event for event in events if event["data"]["student_id"] == student]
        if len(own) >= count:
            return own
        time.sleep(0.05)
    raise AssertionError(f"{stream} has not {count} events of {student}")


def test_given_a_start_then_json_names_the_servers_and_no_more(dev: Dev) -> None:
    assert dev.urls.keys() == {"redis_url", "http_url", "jwks_url"}
    with dev.http() as http:
        assert http.get("/health").json()["status"] == "healthy"
        assert http.get("/dev").json().items() >= dev.urls.items()
        assert len(httpx.get(dev.urls["jwks_url"]).json()["keys"]) == 1
    file = Path(dev.environment["HOME"]) / ".mastery" / "dev-key.pem"
    assert file.stat().st_mode & 0o777 == 0o600


def test_given_a_token_when_published_by_redis_py_then_mastery_follows(dev: Dev) -> None:
    event = _event("ada", dev.token("ada", "--tenant", "school-7"), 1)
    forged = _event("ada", dev.token("ada"), 2)
    forged["data"]["claims"]["tenant_id"] = "school-7"
    with dev.redis as redis:
        for one in (event, event, forged):
            redis.xadd(RESPONSES, {"event": json.dumps(one)})
        rejected: Any = redis.xread({REJECTED: "0"}, block=60_000)
        (told,) = _events(redis, MASTERY, "ada", 1)

    changed = MasteryChanged.model_validate_json(json.dumps(told)).data
    assert (changed.tenant_id, changed.concept_id, changed.attempts) == (
        "school-7", "own.concept", 1,
    )  # fmt: skip
    # Concepts outside the curriculum have the documented default.
    assert changed.mastery == pytest.approx(0.64)
    ((_, fields),) = rejected[0][1]
    assert json.loads(fields[b"event"])["data"]["code"] == "unauthenticated"


def test_given_ioredis_with_defaults_then_it_publishes_and_reads(
    dev: Dev, node_modules: Path
) -> None:
    node = shutil.which("node")
    assert node is not None
    event = _event("grace", dev.token("grace"), 1)
    done = subprocess.run(
        [
            node,
            str(Path(__file__).parent / "node" / "dev_publisher.cjs"),
            dev.urls["redis_url"],
            json.dumps(event),
        ],
        check=True,
        timeout=_WITHIN_S,
        env={"NODE_PATH": str(node_modules)},
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["data"]["student_id"] == "grace"
    assert done.stderr == ""


async def test_given_a_page_when_it_answers_then_the_socket_tells_it(dev: Dev) -> None:
    own = dev.urls["http_url"]
    async with httpx.AsyncClient(base_url=own, timeout=30, headers={"Origin": own}) as http:
        student = (await http.get("/dev/students")).json()["students"][0]["student_id"]
        token = (await http.post("/dev/token", json={"student_id": student})).json()["token"]

        following = connect(
            f"{own.replace('http', 'ws')}/v1/ws/students/{student}/mastery",
            subprotocols=[Subprotocol("bearer"), Subprotocol(token)],
            origin=Origin(own),
            open_timeout=_WITHIN_S,
        )
        answer = {"student_id": student, "item_id": _ITEM, "concept_ids": [_CONCEPT]}
        async with following as socket, asyncio.timeout(_WITHIN_S):
            for attempts in range(1, 8):
                sent = await http.post(
                    "/dev/responses", json={**answer, "scale": "math", "correct": True}
                )
                told = json.loads(await socket.recv())
                response = sent.json()["event"]["data"]["response"]
                assert told["response_id"] == response["response_id"]
                assert told["attempts"] == attempts
    assert told["mastered"]
    # Fitted parameters: with an interval, and another version than the built-in one.
    assert told["mastery_interval"]["low"] < told["mastery"] < told["mastery_interval"]["high"]
    assert told["parameters_version"] == 2
    with dev.redis as redis:
        unlocked = await asyncio.to_thread(_events, redis, UNLOCKED, student, 3)
    assert {event["data"]["concept_id"] for event in unlocked} == {
        "numbers.negative", "fractions.equivalent", "decimals.round",
    }  # fmt: skip


def test_given_a_foreign_page_then_neither_host_nor_origin_helps_it(dev: Dev) -> None:
    with dev.http() as http:
        for path in ("/dev/students", "/health", "/docs", "/metrics"):
            assert http.get(path, headers={"Host": "evil.example"}).status_code == 403
            assert http.get(path, headers={"Origin": "http://evil.example"}).status_code == 403
        refused = http.post("/dev/token", json={"student_id": "ada"})
        assert refused.status_code == 403
        operator = {"Authorization": f"Bearer {dev.token('me', '--role', 'service_role')}"}
        assert http.get("/v1/jobs", headers=operator).json() == {"jobs": [], "next_cursor": None}
