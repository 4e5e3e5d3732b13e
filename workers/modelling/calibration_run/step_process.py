"""Run one step of a calibration: ``python -m`` with a workspace and a step.

The process ends when its parent ends, for then its standard input does. It removes the workspace,
which contains all answers and belongs to nobody any more.
"""

import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Final

from workers.modelling.calibration_run.workspace import Workspace

_LOWER: Final = 10
"""Steps of priority below the engine's, since answers come first."""


def main(directory: str, name: str) -> None:
    """Run a step."""
    threading.Thread(target=_end_with_parent, args=(directory,), daemon=True).start()
    os.nice(_LOWER)
    Workspace(Path(directory)).do(name)


def _end_with_parent(directory: str) -> None:
    # Bypass the buffer: its lock would be held when the interpreter ends.
    while os.read(0, 4096):
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
