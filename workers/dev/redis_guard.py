"""Runs a Redis server, and ends it when the owner is gone, however it went.

Run as a script with nothing but the standard library: the temporary directory to remove at the end
(or an empty argument), then the command of the server. The end of standard input is the owner's
word to stop; it also comes when the owner dies, by SIGKILL too.
"""

import os
import shutil
import subprocess
import sys
import threading

_PATIENCE_S = 10.0


def main() -> None:
    """Start the server, and end with it."""
    temporary, *command = sys.argv[1:]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # our own program
    stopping = threading.Event()

    def stop_at_the_end_of_input() -> None:
        os.read(sys.stdin.fileno(), 1)
        stopping.set()
        server.terminate()
        try:
            server.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=stop_at_the_end_of_input, daemon=True).start()
    server.wait()
    # Of a server that ended by itself the owner still reads the log.
    if temporary and stopping.is_set():
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
