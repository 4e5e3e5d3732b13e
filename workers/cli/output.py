"""Write a file, and check that it can be written before work is done for it."""

from pathlib import Path

import typer

from workers.common.errors import InputFileError


def require_writable(path: Path | None, option: str) -> None:
    """Refuse a file that can't be written; an existing file keeps its content.

    Args:
        path: the file; None for standard output.
        option: the option that the message names.

    Raises:
        BadParameter: the message says what is wrong.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise typer.BadParameter(
            f"{path.parent} is not a directory: create it or name another", param_hint=option
        )
    try:
        existed = path.exists()
        if existed and not (path.is_file() or path.is_dir()):
            return  # opening a named pipe or a device may wait, or do something
        # Only an attempt shows what permissions, file systems and quotas allow.
        with path.open("ab"):
            pass
    except OSError as error:
        raise typer.BadParameter(
            f"{path} can't be written: {error.strerror or error}", param_hint=option
        ) from None
    if not existed:
        path.unlink()


def write_output(text: str, path: Path | None) -> None:
    """Write a text to a file; to standard output without a path.

    Raises:
        InputFileError: the path is not writable.
    """
    if path is None:
        typer.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputFileError(f"{path} can't be written: {error.strerror or error}") from error
