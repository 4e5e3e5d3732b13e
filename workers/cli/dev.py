"""Run `mastery dev` until it is stopped."""

import asyncio
import json
from pathlib import Path

import typer

from workers.config.settings import Settings
from workers.dev.key_file import default_key_file
from workers.dev.settings import development_settings
from workers.dev.starting import started_dev


def run_dev(directory: Path | None, *, as_json: bool) -> None:
    """Run everything, and print where it is once it is ready.

    Args:
        directory: where the servers keep their data; None keeps nothing.
        as_json: print one line of JSON instead of text.

    Raises:
        SettingsError: this is not development, or a setting is wrong.
    """
    settings = development_settings(directory)
    asyncio.run(_run(settings, as_json=as_json))
    typer.echo("mastery: stopped", err=True)


async def _run(settings: Settings, *, as_json: bool) -> None:
    async with started_dev(settings, default_key_file()) as running:
        # Part of the engine, which is imported only now.
        from workers.app.lifecycle import stop_on_signals  # noqa: PLC0415
        from workers.dev.text import text  # noqa: PLC0415

        stopped = stop_on_signals()
        urls = json.dumps(running.urls.to_jsonable())
        typer.echo(urls if as_json else text(running, settings.embedded_directory))
        await running.worker.run(stopped=stopped)
