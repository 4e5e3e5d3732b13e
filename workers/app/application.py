"""The worker as a FastStream application, for FastStream's own command line.

``faststream run workers.app.application:app`` runs a worker of all roles, as `mastery worker` does.
``faststream docs serve workers.app.application:app`` shows the AsyncAPI document, and ``faststream
docs gen`` writes it.
"""

import logging
from typing import Any

from faststream import FastStream
from typing_extensions import override

from workers.app.lifecycle import stop_on_signals
from workers.app.worker import running_worker
from workers.common.errors import MasteryError
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.reference.asyncapi import build_specification


class WorkerApplication(FastStream):
    """Runs the worker in the settings; its broker is made when it runs, not at import."""

    def __init__(self) -> None:
        super().__init__(specification=build_specification())

    @override
    async def run(
        self,
        log_level: int = logging.INFO,
        run_extra_options: dict[str, Any] | None = None,
        sleep_time: float = 0.1,
    ) -> None:
        """Run until a signal stops it.

        Args:
            log_level: unused, as `LOG_LEVEL` decides.
            run_extra_options: ``worker_id`` is the number of this process with ``--workers``;
                only the first one, or a single one, listens for HTTP.
            sleep_time: unused.

        Raises:
            SystemExit: a server or a setting is not as needed; the message says which.
        """
        first = not (run_extra_options or {}).get("worker_id")
        stopped = stop_on_signals()
        try:
            settings = load_settings()
            configure_logs(settings.log_level, settings.log_format)
            async with running_worker(settings, http=first) as (worker, _):
                await worker.run(stopped=stopped)
        except MasteryError as error:
            raise SystemExit(f"mastery: {error}") from None


app = WorkerApplication()
