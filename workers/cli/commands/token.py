"""`mastery token`: a token of the development issuer."""

from typing import Annotated

import typer

from workers.cli.choices import DEFAULT_TENANT


def token(
    student: Annotated[str, typer.Argument(metavar="STUDENT", help="The subject of the token.")],
    tenant: Annotated[
        str | None, typer.Option(help=f"The student's tenant; {DEFAULT_TENANT} if not given.")
    ] = None,
    role: Annotated[
        str, typer.Option(help="The role; service_role may report for others and ask for jobs.")
    ] = "authenticated",
) -> None:
    """Print a token that `mastery dev` accepts, valid for 12 hours."""
    from workers.cli.token import print_token

    print_token(student, tenant, role)
