"""The deployed Redis users on a real server: what each may do, tried command by command."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.retry import Retry

from contracts.streams import JOBS, MASTERY, REJECTED, RESPONSES, UNLOCKED, shards
from tests.security.guarded_redis import USERS, GuardedRedis, guarded_redis
from tests.security.in_process import command, drained, settings_of
from tests.support.run_results import Found, events_differences, run_results, stored_mastery
from tests.support.whole_run import Setting, publish, simulated_rows
from workers.operations.dead_letters.reading import redriven_key
from workers.streams.leases.lease import lease_key
from workers.streams.leases.roster import ROSTER_KEY
from workers.streams.redriven import accepted_key
from workers.streams.tries import tries_key

FOR_EVERYBODY: Final = frozenset({"auth", "hello", "quit", "reset"})
"""Commands of a connection that says who it is or ends: Redis takes them from anybody."""
ON_A_CLUSTER: Final = frozenset(
    ("asking", "cluster|slots", "command", "command|count", "command|docs", "command|getkeys",
     "command|getkeysandflags", "command|help", "command|info", "command|list")
)  # fmt: skip
"""A client of a Redis Cluster finds its way with them; they read no key and change none."""
_PUBLISHER: Final = Path(__file__).parents[1] / "acceptance" / "node" / "express_publisher.cjs"

_SHARDS: Final = [shards(1024)[k] for k in (0, 9, 10, 999, 1023)]
_PUBLISHED: Final = [RESPONSES, JOBS, *(shard.responses for shard in _SHARDS)]
_TOLD: Final = [
    MASTERY,
    UNLOCKED,
    *(stream for shard in _SHARDS for stream in (shard.mastery, shard.unlocked)),
]
_REFUSED: Final = [REJECTED, *(shard.rejected for shard in _SHARDS)]
_OTHERS: Final = [
    *map(tries_key, (RESPONSES, MASTERY, _SHARDS[1].responses)),
    *map(accepted_key, (RESPONSES, _SHARDS[1].responses)),
    *map(redriven_key, (REJECTED, _SHARDS[1].rejected)),
    ROSTER_KEY,
    f"{RESPONSES}.{{0}}x",
    f"{RESPONSES}.{{x}}",
    f"{RESPONSES}.{{12345}}",
    f"{RESPONSES}x",
    f"x{RESPONSES}",
    RESPONSES.upper(),
    "job_progress:1",
    "anything",
    "",
]
_KEYS: Final = [*_PUBLISHED, *_TOLD, *_REFUSED, *_OTHERS]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRedis]:
    """A guarded Redis that the tests of this module share, one after the other."""
    with guarded_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def admin(server: GuardedRedis) -> Iterator[Redis]:
    """Somebody who may do everything; the server is empty before the test."""
    with server.client() as client:
        client.flushall()
        client.acl_log_reset()
        yield client


def _ask(client: Redis, *words: str) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]


def _commands(admin: Redis) -> dict[str, int]:
    """Every command of the server, subcommands too, with the words that it wants at least."""
    # In one word, so that redis-py leaves the answers as they are.
    infos = _ask(admin, "COMMAND INFO", *_ask(admin, "COMMAND LIST"))
    arities = {row[0].decode(): abs(row[1]) for row in infos}
    # A container is no command: its subcommands are.
    containers = {name.partition("|")[0] for name in arities if "|" in name}
    assert len(arities.keys() - containers) > 300
    return {name: arity for name, arity in arities.items() if name not in containers}


def _words(name: str, arity: int, key: str) -> list[str]:
    words = name.split("|")
    return [*words, *[key] * max(arity - len(words), 0)]


def _permitted(admin: Redis, user: str) -> set[str]:
    """The commands that a user may run on any key at all."""
    allowed = set()
    for name, arity in _commands(admin).items():
        try:
            answer = _ask(admin, "ACL DRYRUN", user, *_words(name, arity, "k"))
        except ResponseError as error:
            # Such as a wrong number of words; who may not run it is told so first.
            answer = error
        if "no permissions to run" not in str(answer):
            allowed.add(name)
    return allowed


def _dry(admin: Redis, user: str, *words: str) -> bool:
    return "OK" in str(_ask(admin, "ACL DRYRUN", user, *words))


def test_given_no_name_when_connecting_then_nothing_may_be_done(
    server: GuardedRedis, admin: Redis
) -> None:
    admin.ping()
    once = Retry(NoBackoff(), 0)
    with Redis(port=server.port, retry=once) as nobody, pytest.raises(AuthenticationError):
        nobody.xadd(RESPONSES, {"event": "x"})
    guess = Redis(port=server.port, username="express", password="guess", retry=once)
    with guess, pytest.raises(AuthenticationError):
        guess.xadd(RESPONSES, {"event": "x"})


def test_given_a_user_without_a_password_then_nobody_can_log_in_as_it(
    admin: Redis,
) -> None:
    for line in (Path(__file__).parents[2] / "deploy/redis/users.acl").read_text().splitlines():
        assert "nopass" not in line
        assert ">" not in line
        assert "#" not in line
    default: Any = admin.acl_getuser("default")
    assert "off" in default["flags"]
    for user in USERS:
        deployed: Any = admin.acl_getuser(user)
        assert len(deployed["passwords"]) == 1


def test_given_all_commands_then_the_publisher_may_run_only_those_that_add(
    admin: Redis,
) -> None:
    # WAIT asks which replicas have what was added.
    assert _permitted(admin, "express") - FOR_EVERYBODY - ON_A_CLUSTER == {"xadd", "wait"}
    for key in _KEYS:
        assert _dry(admin, "express", "XADD", key, "*", "event", "x") == (key in _PUBLISHED), key


@pytest.mark.parametrize("user", ["express", "subscriber"])
def test_given_a_filled_server_then_no_command_of_a_guest_changes_it(
    server: GuardedRedis, admin: Redis, user: str
) -> None:
    for key in (RESPONSES, MASTERY, REJECTED, JOBS, _SHARDS[0].mastery):
        admin.xadd(key, {"event": "x"})
        admin.xgroup_create(key, "group", id="0")
    admin.hset(tries_key(RESPONSES), "1-1", "1")
    before = {key: admin.dump(key) for key in admin.keys("*")}
    permitted = _permitted(admin, user)
    wrong = []
    with server.client(user) as guest:
        for name, arity in _commands(admin).items():
            if name in permitted:
                continue
            for key in (RESPONSES, JOBS, MASTERY, REJECTED):
                try:
                    wrong.append((name, key, _ask(guest, *_words(name, arity, key))))
                except NoPermissionError:
                    pass
                except ResponseError as error:
                    # EXEC names the reason in its own words; MODULE and DEBUG are nobody's, unless
                    # the server is set to have them.
                    if not any(word in str(error) for word in ("permissions", "not allowed")):
                        wrong.append((name, key, error))
    assert wrong == []
    assert {key: admin.dump(key) for key in admin.keys("*")} == before


def test_given_the_publisher_then_it_can_grow_only_responses_and_jobs(
    server: GuardedRedis, admin: Redis
) -> None:
    with server.client("express") as express:
        for key in _KEYS:
            if key in _PUBLISHED:
                express.xadd(key, {"event": "x"})
            else:
                with pytest.raises(NoPermissionError):
                    express.xadd(key, {"event": "x"})
        with pytest.raises(NoPermissionError):
            express.xread({RESPONSES: "0"})
    keys: Any = admin.keys("*")
    assert {key.decode(): admin.xlen(key) for key in keys} == dict.fromkeys(_PUBLISHED, 1)


def test_given_a_subscriber_then_it_reads_mastery_changes_alone(
    server: GuardedRedis, admin: Redis
) -> None:
    permitted = _permitted(admin, "subscriber") - FOR_EVERYBODY - ON_A_CLUSTER
    assert permitted == {"xread", "xrange", "xrevrange", "xlen", "xinfo|stream"}
    for key in _KEYS:
        if key:
            admin.delete(key)
            admin.xadd(key, {"event": "x"})
    with server.client("subscriber") as subscriber:
        for key in _TOLD:
            rows: Any = subscriber.xread({key: "0"}, block=10)
            assert len(rows) == 1
            assert len(subscriber.xrange(key)) == subscriber.xlen(key) == 1
        for key in set(_KEYS) - {*_TOLD}:
            for read in (subscriber.xrange, subscriber.xlen, subscriber.xinfo_stream):
                with pytest.raises(NoPermissionError):
                    read(key)
        # One key too many refuses the whole.
        with pytest.raises(NoPermissionError):
            subscriber.xread({MASTERY: "0", RESPONSES: "0"})


def test_given_a_consumer_then_it_uses_groups_of_mastery_changes_alone(
    server: GuardedRedis, admin: Redis
) -> None:
    assert _permitted(admin, "consumer") - _permitted(admin, "subscriber") == {
        "ping", "xgroup|create", "xreadgroup", "xack", "xpending", "xautoclaim", "xinfo|groups",
    }  # fmt: skip
    with server.client("consumer") as consumer:
        for key in _TOLD:
            consumer.xgroup_create(key, "reports", id="0", mkstream=True)
            added: Any = admin.xadd(key, {"event": "x"})
            assert consumer.xreadgroup("reports", "one", {key: ">"}) == [
                [key.encode(), [(added, {b"event": b"x"})]]
            ]
            claimed: Any = consumer.xautoclaim(key, "reports", "two", 0)
            assert [row[0] for row in claimed[1]] == [added]
            assert consumer.xack(key, "reports", added) == 1
            for forbidden in (
                ("XADD", key, "*", "event", "x"),
                ("XTRIM", key, "MAXLEN", "0"),
                ("XDEL", key, added),
                ("XGROUP", "DESTROY", key, "reports"),
            ):
                with pytest.raises(NoPermissionError):
                    _ask(consumer, *forbidden)
        for key in set(_KEYS) - {*_TOLD}:
            with pytest.raises(NoPermissionError):
                consumer.xreadgroup("reports", "one", {key: ">"})


def test_given_the_users_of_the_engine_then_none_can_harm_the_server(
    admin: Redis,
) -> None:
    harmful = {str(name) for category in ("admin", "dangerous") for name in admin.acl_cat(category)}
    assert {"flushall", "keys", "config|set", "debug", "shutdown", "monitor"} <= harmful
    for user in ("worker", "operator"):
        permitted = _permitted(admin, user)
        # INFO changes nothing; `mastery check` asks for the version.
        assert permitted & harmful == {"info"}, user
        assert not permitted & {"script|flush", "function|load", "swapdb", "copy", "move"}
        # What counts the requests of HTTP renames its own keys, and no others.
        assert not _dry(admin, user, "RENAME", RESPONSES, "mastery:http:x")
        assert not _dry(admin, user, "RENAME", "mastery:http:x", RESPONSES)
        for words in (("GET", "anything"), ("HGETALL", "anything"), ("XLEN", "anything")):
            assert not _dry(admin, user, *words)


def test_given_the_worker_then_it_forges_nothing_and_trims_no_rejection(
    admin: Redis,
) -> None:
    for key in _KEYS:
        added = _dry(admin, "worker", "XADD", key, "*", "event", "x")
        assert added == (key in {JOBS, *_TOLD, *_REFUSED}), key
        trimmed = _dry(admin, "worker", "XTRIM", key, "MINID", "0")
        assert trimmed == (key in {*_PUBLISHED, *_TOLD}), key
        assert not _dry(admin, "worker", "DEL", key)
        assert not _dry(admin, "worker", "XDEL", key, "0-1")


@pytest.mark.parametrize("user", USERS)
def test_given_leases_then_the_engines_users_may_hold_them_and_nobody_else(
    admin: Redis, user: str
) -> None:
    keys = [*map(lease_key, _PUBLISHED), *map(lease_key, _TOLD), *_KEYS]
    leases = {lease_key(stream) for stream in _PUBLISHED if stream != JOBS}
    engine = user in ("worker", "operator")
    for key in keys:
        for words in (("SET", key, "a", "NX", "PX", "3000"), ("GET", key), ("PTTL", key)):
            assert _dry(admin, user, *words) == (engine and key in leases), words
    for key in leases:
        for more in (("PEXPIRE", key, "1"), ("DEL", key), ("EVALSHA", "0" * 40, "1", key)):
            assert _dry(admin, user, *more) == engine, more
        assert not _dry(admin, user, "XADD", key, "*", "event", "x")


def test_given_the_deployed_users_then_engine_and_commands_work_entirely(
    server: GuardedRedis, admin: Redis, database_url: str
) -> None:
    ledger = {"DATABASE_URL": database_url}
    worker = Setting(server.url("worker"), ledger, database_url).environment(BATCH_SIZE="50")
    operator = Setting(server.url("operator"), ledger, database_url).environment()
    rows = simulated_rows(120, 12, seed=4)
    asyncio.run(publish(server.url("express"), rows))
    with server.client("express") as express:
        express.xadd(RESPONSES, {"event": "no JSON"})
        express.xadd(RESPONSES, {"event": json.dumps({"specversion": "1.0"})})

    asyncio.run(drained(settings_of(worker)))
    command(worker, "check")
    letters = json.loads(command(operator, "rejected", "list", "--json"))
    assert len(letters) == 2
    command(operator, "rejected", "show", letters[0]["id"])
    command(operator, "rejected", "redrive", letters[0]["id"])
    asyncio.run(drained(settings_of(worker)))
    command(operator, "rejected", "purge", "--all", "--yes")
    result = asyncio.run(_found(server, database_url, rows))
    assert result.differences == []
    assert result.pending == 0
    assert result.rejected == {}
    stored = asyncio.run(stored_mastery(database_url))
    assert events_differences(result, rows, stored) == []
    told = admin.xlen(MASTERY)
    command(operator, "reconcile", "--publish", "--since", "1h")
    assert admin.xlen(MASTERY) > told

    # From 7.2 on clients tell their name and version, and do without where they may not.
    denied = [line for line in admin.acl_log() if line["object"] != "client|setinfo"]
    assert denied == []


async def _found(server: GuardedRedis, dsn: str, rows: list[dict[str, Any]]) -> Found:
    setting = Setting(server.url(), {"DATABASE_URL": dsn}, dsn)
    return await run_results(setting, rows, tolerance=1e-12)


def test_given_the_publisher_user_then_entries_of_express_arrive(
    server: GuardedRedis, admin: Redis
) -> None:
    node, modules = shutil.which("node"), Path(_PUBLISHER.parent / "node_modules")
    if node is None or not modules.is_dir():
        pytest.skip("node or ioredis is not installed: .ci/servers.sh install")
    subprocess.run(
        [node, str(_PUBLISHER), server.url("express"), "5"],
        check=True,
        timeout=60,
        env={"NODE_PATH": str(modules)},
    )
    assert admin.xlen(RESPONSES) >= 5
