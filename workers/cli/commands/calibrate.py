"""`mastery calibrate`: fits parameters to the response log."""

from typing import Annotated

import typer

from workers.cli.choices import DEFAULT_MODEL, MODELS, Activate


def calibrate(
    model: Annotated[str, typer.Option(help=f"One of {', '.join(MODELS)}.")] = DEFAULT_MODEL,
    activate: Annotated[
        Activate, typer.Option(help="When to activate the new version.")
    ] = "if-better",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fit and compare; store and activate nothing.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of resuming a stopped run.")
    ] = False,
    note: Annotated[str, typer.Option(help="A note about the version, one line.")] = "",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; one per core if not given.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Compute on the Dask cluster of this scheduler, such as tls://scheduler:8786.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with all diagnostics.")
    ] = False,
) -> None:
    """Fit parameters to all learners' answers; activate them if they predict better."""
    from workers.cli.calibrate import run_calibration

    run_calibration(
        model,
        activate,
        note,
        dry_run=dry_run,
        fresh=fresh,
        processes=processes,
        cluster=cluster,
        as_json=as_json,
    )
