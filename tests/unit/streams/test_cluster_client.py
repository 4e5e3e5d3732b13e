"""The client of a Redis Cluster, as far as it needs no server."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from workers.config.hosts import plain_text_host, redacted
from workers.streams.cluster.client import (
    ClusterClient,
    is_cluster_url,
    node_addresses,
    on_cluster,
    options_of,
)
from workers.streams.cluster.keys import FirstKey
from workers.streams.connection import client_of

URL = "rediss+cluster://us%40er:s%2Fecret@a:7000,[::1]:7001,c"


def test_given_a_url_then_its_nodes_and_credentials_are_read() -> None:
    assert node_addresses(URL) == [("a", 7000), ("::1", 7001), ("c", 6379)]
    options = options_of(URL + "?socket_timeout=7&ssl_ca_certs=/ca", socket_timeout=1)
    assert [(node.host, node.port) for node in options["startup_nodes"]] == node_addresses(URL)
    assert (options["username"], options["password"]) == ("us@er", "s/ecret")
    assert options["ssl"] is True
    assert options["socket_timeout"] == 7
    assert options["ssl_ca_certs"] == "/ca"
    assert "ssl" not in options_of("redis+cluster://a")


@pytest.mark.parametrize("url", ["redis+cluster://", "redis+cluster://a,,b", "redis+cluster://a:x"])
def test_given_an_address_that_is_none_then_it_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        node_addresses(url)


def test_given_several_hosts_then_each_is_judged_and_none_shows_a_password() -> None:
    plain = URL.replace("rediss", "redis")
    assert plain_text_host(plain, ["a"]) == "c"
    assert plain_text_host(plain, ["a", "c"]) is None
    assert plain_text_host(URL) is None
    assert redacted(URL) == "rediss+cluster://us%40er:***@a:7000,[::1]:7001,c"


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (("XADD", "s", "*", "event", "x"), ["s"]),
        (("XREADGROUP", b"GROUP", "g", "c", b"STREAMS", "s", ">"), ["s"]),
        (("XREAD", "COUNT", 1, "STREAMS", "s", "t", "0", "0"), ["s", "t"]),
        (("XGROUP", "CREATE", "s", "g", "0"), ["s"]),
        (("XGROUP CREATE", "s", "g", "0"), ["s"]),
        (("TIME",), []),
    ],
)
async def test_given_a_command_then_its_keys_are_known_without_a_server(
    command: tuple[object, ...], keys: list[str]
) -> None:
    name, *arguments = command
    assert await FirstKey().get_keys(str(name), *arguments) == keys


async def test_given_no_node_that_answers_then_it_is_a_lost_connection() -> None:
    client: Any = client_of("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    assert isinstance(client, ClusterClient)
    assert on_cluster(client)
    assert is_cluster_url(URL)
    client.nodes_manager.slots_cache = {}
    client._initialize = False  # as after a look that found no slot
    with pytest.raises(RedisConnectionError, match="was lost"):
        await client.xlen("practice.responses.v1.{0}")
    await client.aclose()
