"""The tests. Imported before all else, so that what else is imported is compiled once."""

import os
import sys
from pathlib import Path

_COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "compiled"


def keep_compiled_modules() -> None:
    """Keep compiled modules for the tests' processes where Python may not write them.

    Tests start the command many times, and compiling what it imports takes longer than most of
    them; so does compiling the tests. Python compiles a module anew if its source has changed.
    """
    if not os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        return
    # The environment reaches processes to come. Those of multiprocessing never write, for they
    # inherit this process's flags; they read what this process compiles.
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(_COMPILED)
    sys.dont_write_bytecode = False


keep_compiled_modules()
