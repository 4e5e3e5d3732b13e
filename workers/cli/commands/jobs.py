"""`mastery jobs list|cancel`: the jobs of a tenant."""

from typing import Annotated

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.cli.commands.options import Json, Tenant

app = typer.Typer(help="List and cancel the jobs of workers.", no_args_is_help=True)


@app.command("list")
def list_(
    tenant: Tenant = DEFAULT_TENANT,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List a tenant's jobs, newest first."""
    from workers.cli.jobs import list_jobs

    list_jobs(tenant, limit, as_json=as_json)


@app.command()
def cancel(
    job_id: Annotated[str, typer.Argument(metavar="JOB_ID", help="The job.")],
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Cancel a queued or running job; fail if it has ended already."""
    from workers.cli.jobs import cancel as cancel_job

    cancel_job(tenant, job_id, as_json=as_json)
