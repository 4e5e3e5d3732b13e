"""The private key of the development issuer, in a file that only its owner can read."""

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from workers.common.errors import SettingsError

_MODE: Final = 0o600
_OF_OTHERS: Final = 0o077


def default_key_file() -> Path:
    """Return the key file of this user; `mastery dev` and `mastery token` share it."""
    return Path.home() / ".mastery" / "dev-key.pem"


def signing_key(file: Path) -> EllipticCurvePrivateKey:
    """Read the private key, and make the file if it is missing.

    Raises:
        SettingsError: others can read the file, or it holds no key of this kind.
    """
    try:
        if not file.exists():
            _make(file)
        return _read(file)
    except OSError as error:
        raise SettingsError(
            f"the development key {file} can't be used: {error.strerror or error}"
        ) from error


def _make(file: Path) -> None:
    """Write a new key; a file that another process made in the meantime stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(text)
        # Unlike a rename, a link never replaces a file.
        file.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _read(file: Path) -> EllipticCurvePrivateKey:
    descriptor = os.open(file, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & _OF_OTHERS:
            raise SettingsError(
                f"the development key {file} must belong to you and be readable by nobody else: "
                f"run `chmod 600 {file}`, or delete it for a new key"
            )
        text = opened.read()
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise SettingsError(f"{file} holds no P-256 key: delete it for a new key")
    return key
