"""`mastery check`: checks settings and connections."""


def check() -> None:
    """Check settings and connections; print each problem with its remedy.

    Exits with 1 on any problem. In development, a Redis that may lose entries is only a warning.
    """
    from workers.cli.check.run import run_checks

    run_checks()
