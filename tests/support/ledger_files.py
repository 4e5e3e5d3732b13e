"""A ledger in memory that other processes read from a file."""

import os
import pickle
from contextlib import AsyncExitStack
from pathlib import Path

from workers.ledger.memory.ledger import MemoryLedger

FILE = "TEST_LEDGER_FILE"
SECRET = "TEST_LEDGER_SECRET"
"""Variable of the workers alone, as a password is."""


async def open_from_file(_: AsyncExitStack) -> MemoryLedger:
    """Open the ledger of the file that a variable of this process names."""
    assert os.environ[SECRET]
    ledger = pickle.loads(Path(os.environ[FILE]).read_bytes())  # noqa: S301, ASYNC240  # written by the test
    assert isinstance(ledger, MemoryLedger)
    return ledger
