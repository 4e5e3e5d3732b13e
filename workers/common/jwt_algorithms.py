"""All allowed signature algorithms; `none` is not among them."""

from typing import Final

SECRET_ALGORITHMS: Final = ("HS256",)
"""Verified with a shared secret only."""
KEY_ALGORITHMS: Final = (
    "EdDSA", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
)  # fmt: skip
"""Verified with the public keys of an issuer only."""
DEFAULT_KEY_ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
