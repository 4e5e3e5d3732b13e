"""The error that ends a part of the worker, kept until the worker asks for it."""

import asyncio

import structlog

from workers.common.errors import Fatal

_log = structlog.get_logger(__name__)


class FirstFailure:
    """Keeps the first error of a part whose caller would swallow it.

    Args:
        log_event: name of the log event that tells of the error.
    """

    def __init__(self, log_event: str) -> None:
        self._log_event = log_event
        self._error: Exception | None = None
        self._noted = asyncio.Event()

    @property
    def happened(self) -> bool:
        """Return True once an error was noted."""
        return self._error is not None

    def note(self, error: Exception) -> None:
        """Log an error, and keep it if it is the first."""
        _log.critical(self._log_event, error=str(error), exc_info=not isinstance(error, Fatal))
        self._error = self._error or error
        self._noted.set()

    async def wait(self) -> None:
        """Wait for an error; without one, for ever.

        Raises:
            Exception: the first error.
        """
        await self._noted.wait()
        if self._error is not None:
            raise self._error
