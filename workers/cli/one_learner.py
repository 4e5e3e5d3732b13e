"""One learner, named on the command line."""

from typing import Annotated, Final

import typer

from workers.estimation.learner import LearnerKey
from workers.ledger.audit import AuditLedger
from workers.ledger.rows import Stored

DEFAULT_TENANT: Final = "default"

Tenant = Annotated[
    str | None, typer.Option(help=f"The student's tenant; {DEFAULT_TENANT} unless named.")
]
Student = Annotated[str | None, typer.Option(help="Only this student.")]


def one_learner(tenant: str | None, student: str | None) -> LearnerKey | None:
    """The learner that the options name; None if they name none."""
    if student is None:
        if tenant is not None:
            raise typer.BadParameter("--tenant needs --student: the two name one learner")
        return None
    return LearnerKey(tenant or DEFAULT_TENANT, student)


async def require_known(ledger: AuditLedger, key: LearnerKey | None) -> Stored | None:
    """Refuse a learner of whom the ledger has nothing."""
    if key is None:
        return None
    (stored,) = await ledger.stored([key])
    if not (stored.version or stored.newest_version):
        raise typer.BadParameter(
            f"the ledger knows no student {key.student_id!r} of tenant {key.tenant_id!r}"
        )
    return stored
