"""One step of a calibration in a process of its own: ``python -m`` with a workspace and a step.

It ends when whoever started it does, however that happened: then nothing comes through its standard
input any more, and the workspace, which has all answers, is nobody's: it is removed.
"""

import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Final

from workers.modelling.calibration_run.workspace import Workspace

_LOWER: Final = 10
"""Steps of priority below the engine's: answers come first."""


def main(directory: str, name: str) -> None:
    """Do a step."""
    threading.Thread(target=_end_with_parent, args=(directory,), daemon=True).start()
    os.nice(_LOWER)
    Workspace(Path(directory)).do(name)


def _end_with_parent(directory: str) -> None:
    # Not through the buffer, whose lock would be held when the interpreter ends.
    while os.read(0, 4096):
        pass
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
