"""Run everything that `mastery dev` promises, and stop it in reverse order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis.asyncio import Redis
from starlette.middleware import Middleware

from workers.app.extension import Extension
from workers.app.lifecycle import Worker
from workers.app.worker import running_worker
from workers.config.settings import Settings
from workers.dev.issuer import AUDIENCE, ISSUER, Issuer
from workers.dev.local_only import LocalOnlyMiddleware
from workers.dev.ports import LOOPBACK
from workers.dev.redis_server import redis_server
from workers.dev.routes import DevRoutes
from workers.dev.seeding import seed
from workers.dev.settings import own_hosts, own_origins
from workers.web.pages.practice import practice_routes


@dataclass(frozen=True, slots=True)
class Urls:
    """Where everything is."""

    redis_url: str
    http_url: str
    jwks_url: str

    def to_jsonable(self) -> dict[str, str]:
        """Return the URLs as a JSON object."""
        return {
            "redis_url": self.redis_url,
            "http_url": self.http_url,
            "jwks_url": self.jwks_url,
        }


class Running(NamedTuple):
    """A started worker with its surroundings."""

    worker: Worker
    urls: Urls
    issuer: Issuer


@asynccontextmanager
async def running_dev(settings: Settings, issuer: Issuer) -> AsyncIterator[Running]:
    """Start Redis, graph, worker and HTTP; stop all of them at the end.

    Args:
        settings: see `development_settings`; with the URL of the ledger.
        issuer: signs tokens.

    Raises:
        SettingsError: a port is in use, or Redis does not start.
        Fatal: another server does not start.
    """
    directory = settings.embedded_directory
    home = None if directory is None else directory / "redis"
    async with redis_server(home) as redis_url, Redis.from_url(redis_url) as client:
        urls = _urls(settings, redis_url)
        about: dict[str, Any] = {**urls.to_jsonable(), "issuer": ISSUER, "audience": AUDIENCE}
        routes = [*practice_routes(), *DevRoutes(issuer, client, about).routes]
        extension = Extension(routes, [_local_only(settings)], seed)
        own = settings.model_copy(update={"redis_url": redis_url})
        async with running_worker(own, extension=extension) as (worker, _):
            yield Running(worker, urls, issuer)


def _urls(settings: Settings, redis_url: str) -> Urls:
    return Urls(redis_url, f"http://{LOOPBACK}:{settings.http_port}", f"{settings.jwt_jwks_url}")


def _local_only(settings: Settings) -> Middleware:
    port = settings.http_port
    return Middleware(
        LocalOnlyMiddleware,
        hosts=own_hosts(port),
        origins=settings.cors_allowed_origins,
        own_origins=own_origins(port),
        own_path="/dev",
    )
