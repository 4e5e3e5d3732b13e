"""The tests. Imported before all else, so that what else is imported is compiled once."""

import atexit
import os
import shutil
import sys
import tempfile


def share_compiled_modules() -> None:
    """Share compiled modules among the processes of a run where Python may not write them.

    Tests start the command many times, and compiling what it imports takes longer than most of
    them. The modules stay in a temporary directory, so nothing is written beside the sources.
    """
    if not os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        return
    directory = tempfile.mkdtemp(prefix="mastery-engine-compiled-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    # The environment reaches processes to come. Those of multiprocessing never write, for they
    # inherit this process's flags; they read what this process compiles.
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = directory
    sys.dont_write_bytecode = False


share_compiled_modules()
