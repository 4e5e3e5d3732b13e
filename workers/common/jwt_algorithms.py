"""The algorithms of signatures that are ever allowed; `none` is not among them."""

from typing import Final

SECRET_ALGORITHMS: Final = ("HS256",)
"""Verified with a shared secret, and with nothing else."""
KEY_ALGORITHMS: Final = (
    "EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
)  # fmt: skip
"""Verified with the public keys of an issuer, and with nothing else."""
DEFAULT_KEY_ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
