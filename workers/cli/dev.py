"""Run `mastery dev` until it is stopped."""

import asyncio
import json
import shlex
from pathlib import Path

import typer

from contracts.streams import EVENT_FIELD, MASTERY, RESPONSES
from workers.app.lifecycle import stop_on_signals
from workers.common.logs import configure_logs
from workers.config.settings import Settings
from workers.demo.curriculum import CONCEPTS, SCALE
from workers.dev.curriculum import item_ids
from workers.dev.issuer import Issuer
from workers.dev.key_file import default_key_file
from workers.dev.practice import response_event
from workers.dev.running import Running, Urls, running_dev
from workers.dev.settings import development_settings
from workers.dev.students import DEMO_STUDENTS


def run_dev(directory: Path | None, *, as_json: bool) -> None:
    """Run everything, and print where it is once it is ready.

    Args:
        directory: where the servers keep their data; None keeps nothing.
        as_json: print one line of JSON instead of text.

    Raises:
        SettingsError: this is not development, or a setting is wrong.
    """
    settings = development_settings(directory)
    # Only what went wrong: the text with the URLs must stay in sight.
    level = settings.log_level if "log_level" in settings.model_fields_set else "WARNING"
    configure_logs(level, settings.log_format)
    asyncio.run(_run(settings, as_json=as_json))
    typer.echo("mastery: stopped", err=True)


async def _run(settings: Settings, *, as_json: bool) -> None:
    async with running_dev(settings, default_key_file()) as running:
        stopped = stop_on_signals()
        urls = json.dumps(running.urls.to_jsonable())
        typer.echo(urls if as_json else text(running, settings.embedded_directory))
        await running.worker.run(stopped=stopped)


def text(running: Running, directory: Path | None) -> str:
    """Describe every URL, and how to publish the first answer."""
    urls, student = running.urls, DEMO_STUDENTS[0].student_id
    kept = "Nothing is kept." if directory is None else f"Data is kept in {directory.resolve()}."
    return f"""\
Mastery Engine for development, on this machine alone. {kept} Ctrl-C ends it.

  practice page    {urls.http_url}/
  API and events   {urls.http_url}/docs
  health, metrics  {urls.http_url}/health  {urls.http_url}/metrics
  demo students    {urls.http_url}/dev/students  {urls.http_url}/dev/curriculum
  key set (JWKS)   {urls.jwks_url}
  Redis            {urls.redis_url}

Publish an answer, to the stream or over HTTP:

  {_redis_cli(urls, running.issuer, student)}

  {_curl(urls, student)}

See what it changed, and get a token for another student:

  redis-cli -u {urls.redis_url} XREAD COUNT 10 STREAMS {MASTERY} 0
  mastery token STUDENT
"""


def _answer(student: str) -> dict[str, object]:
    concept = CONCEPTS[0].concept_id
    return {
        "student_id": student,
        "item_id": item_ids(concept)[0],
        "concept_ids": [concept],
        "scale": SCALE,
        "correct": True,
    }


def _redis_cli(urls: Urls, issuer: Issuer, student: str) -> str:
    event = json.dumps(response_event(issuer, _answer(student)), separators=(",", ":"))
    words = ["redis-cli", "-u", urls.redis_url, "XADD", RESPONSES, "*", EVENT_FIELD, event]
    return shlex.join(words)


def _curl(urls: Urls, student: str) -> str:
    body = json.dumps(_answer(student), separators=(",", ":"))
    return shlex.join(["curl", f"{urls.http_url}/dev/responses", "-d", body])
