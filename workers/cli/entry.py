"""The entry point of `mastery`: Ctrl-C ends in one line, even while modules are imported."""

from workers.cli.interruption import interrupted


def main() -> None:
    """Import the command line and run it."""
    try:
        from workers.cli.main import run

        run()
    except KeyboardInterrupt:
        interrupted()
