"""Print a token of the development issuer."""

import typer
from pydantic import TypeAdapter, ValidationError

from contracts.primitives import Identifier
from workers.dev.issuer import Issuer
from workers.dev.key_file import default_key_file, signing_key
from workers.dev.settings import require_development


def print_token(student: str, tenant: str | None, role: str) -> None:
    """Print a token.

    Args:
        student: the subject.
        tenant: None for the default tenant.
        role: the role in the claims.

    Raises:
        SettingsError: this is not development, or the key file can't be used.
    """
    require_development()
    for name, value in (("STUDENT", student), ("--tenant", tenant)):
        if value is not None:
            _require_identifier(name, value)
    issuer = Issuer(signing_key(default_key_file()))
    typer.echo(issuer.sign(issuer.claims(student, tenant, role)))


def _require_identifier(name: str, value: str) -> None:
    try:
        TypeAdapter(Identifier).validate_python(value)
    except ValidationError:
        raise typer.BadParameter(
            f"{name} is {value!r}: give 1 to 128 characters without control characters"
        ) from None
