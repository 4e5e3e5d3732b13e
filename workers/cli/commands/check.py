"""`mastery check`: checks settings and connections."""


def check() -> None:
    """Check settings and connections; print each problem with its remedy."""
    from workers.cli.check import run_checks

    run_checks()
