"""Select the learner named on the command line."""

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.estimation.learner import LearnerKey
from workers.ledger.audit import AuditLedger
from workers.ledger.rows import Stored


def one_learner(tenant: str | None, student: str | None) -> LearnerKey | None:
    """Return the learner that the options name; None if they name none.

    Raises:
        BadParameter: a tenant without a student.
    """
    if student is None:
        if tenant is not None:
            raise typer.BadParameter("--tenant needs --student: together they name one learner")
        return None
    return LearnerKey(tenant or DEFAULT_TENANT, student)


async def require_known(ledger: AuditLedger, key: LearnerKey | None) -> Stored | None:
    """Return the stored state of a learner; None without a key.

    Raises:
        BadParameter: the ledger has nothing about the learner.
    """
    if key is None:
        return None
    (stored,) = await ledger.stored([key])
    if not (stored.version or stored.newest_version):
        raise typer.BadParameter(
            f"the ledger knows no student {key.student_id!r} of tenant {key.tenant_id!r}"
        )
    return stored
