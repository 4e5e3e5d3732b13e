"""The key of the development issuer: private to its owner, and the same at every start."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from workers.common.errors import SettingsError
from workers.dev.key_file import signing_key


def test_given_no_file_when_read_then_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "home" / "dev-key.pem"
    before = os.umask(0)
    try:
        made = signing_key(file)
    finally:
        os.umask(before)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert signing_key(file).private_numbers() == made.private_numbers()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_given_a_file_that_others_read_then_it_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "dev-key.pem"
    signing_key(file)
    file.chmod(mode)

    with pytest.raises(SettingsError, match=f"chmod 600 {file}"):
        signing_key(file)


def test_given_a_file_without_a_fitting_key_then_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dev-key.pem"
    other = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for content in (b"no key", other):
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(SettingsError, match="holds no P-256 key: delete it"):
            signing_key(file)


def test_given_a_folder_that_cannot_be_made_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="can't be used"):
        signing_key(tmp_path / "file" / "dev-key.pem")
