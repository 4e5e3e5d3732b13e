"""Start `mastery dev`: the engine is imported while Postgres makes its directory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from workers.common.logs import configure_logs
from workers.config.settings import Settings
from workers.dev.issuer import Issuer
from workers.dev.key_file import signing_key
from workers.ledger.schema.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from workers.dev.running import Running


@asynccontextmanager
async def started_dev(settings: Settings, key_file: Path) -> AsyncIterator["Running"]:
    """Start Redis, ledger, graph, issuer, worker and HTTP; stop all of them at the end.

    Args:
        settings: see `development_settings`.
        key_file: the private key of the issuer; made if it is missing.

    Raises:
        SettingsError: the key file can't be used, or a port is in use.
        Fatal: a server does not start.
    """
    _configure_logs(settings)
    issuer = Issuer(signing_key(key_file))
    directory = settings.embedded_directory
    postgres = EmbeddedPostgres(
        None if directory is None else directory / "postgres", settings.jwt_tenant_claim
    )
    async with AsyncExitStack() as stack:
        # Each takes some seconds, and most of both is not the same processor's.
        await asyncio.gather(
            stack.enter_async_context(postgres),
            asyncio.to_thread(import_module, "workers.dev.running"),
        )
        from workers.dev.running import running_dev  # noqa: PLC0415  # imported beside, above

        # Again, because FastStream installs handlers of its own when it is imported.
        _configure_logs(settings)
        own = settings.model_copy(update={"database_url": SecretStr(postgres.dsn)})
        yield await stack.enter_async_context(running_dev(own, issuer))


def _configure_logs(settings: Settings) -> None:
    # Only what went wrong: the text with the URLs must stay in sight.
    level = settings.log_level if "log_level" in settings.model_fields_set else "WARNING"
    configure_logs(level, settings.log_format)
