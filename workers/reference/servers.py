"""Servers and security schemes of the AsyncAPI document."""

from typing import Any, Final

STREAM_SERVERS: Final = ("redis", "rediss")
SOCKET_SERVERS: Final = ("ws", "wss")
SOCKET_SECURITY: Final = ("bearer", "tokenInQuery")

_USER: Final = [{"$ref": "#/components/securitySchemes/redisUser"}]
_TOKEN: Final = [{"$ref": f"#/components/securitySchemes/{name}"} for name in SOCKET_SECURITY]


def _variables(port: str, server: str) -> dict[str, Any]:
    return {
        "host": {"default": "localhost", "description": f"The host of {server}."},
        "port": {"default": port, "description": "Its port."},
    }


SERVERS: Final[dict[str, Any]] = {
    "redis": {
        "host": "{host}:{port}",
        "protocol": "redis",
        "title": "Redis",
        "summary": "Redis Streams without TLS.",
        "description": "The Redis server of `REDIS_URL`, version 6.2 or later, on a network that "
        "nobody else can reach.",
        "variables": _variables("6379", "Redis"),
        "security": _USER,
    },
    "rediss": {
        "host": "{host}:{port}",
        "protocol": "rediss",
        "title": "Redis over TLS",
        "summary": "Redis Streams over TLS.",
        "description": "The same server with `rediss://` in `REDIS_URL`: passwords and events "
        "cross the network encrypted.",
        "variables": _variables("6380", "Redis"),
        "security": _USER,
    },
    "ws": {
        "host": "{host}:{port}",
        "protocol": "ws",
        "title": "Sockets of a worker",
        "summary": "WebSockets of a worker, without TLS.",
        "description": "`HTTP_HOST:HTTP_PORT` of a worker; behind it only a proxy or this machine.",
        "variables": _variables("8000", "the worker"),
        "security": _TOKEN,
    },
    "wss": {
        "host": "{host}:{port}",
        "protocol": "wss",
        "title": "Sockets over TLS",
        "summary": "WebSockets through a TLS proxy.",
        "description": "The proxy in front of the workers, for browsers.",
        "variables": _variables("443", "the proxy"),
        "security": _TOKEN,
    },
}

SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "redisUser": {
        "type": "userPassword",
        "description": "A user of Redis with few rights: `express` adds responses and jobs, "
        "`subscriber` reads, a user of your own may use a consumer group (docs/redis-acl.md).",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The JWT of `JWT_JWKS_URL` or `JWT_SECRET`. Browsers cannot set headers of "
        "a socket: offer the subprotocols `bearer` and the token, in this order.",
    },
    "tokenInQuery": {
        "type": "httpApiKey",
        "name": "token",
        "in": "query",
        "description": "The same JWT as `?token=`. The engine never logs it, but proxies may: "
        "prefer the subprotocol.",
    },
}
