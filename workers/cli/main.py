"""`mastery`: one command for those who run, check and try the engine."""

import sys

import typer

from workers.cli import concepts, learner, migrate
from workers.cli.asyncapi import asyncapi
from workers.cli.calibrate import calibrate
from workers.cli.check import check
from workers.cli.demo import demo
from workers.cli.evaluate.command import evaluate
from workers.cli.parameters import commands as parameters
from workers.cli.rebuild import rebuild
from workers.cli.reconcile.command import reconcile
from workers.cli.rejected import commands as rejected
from workers.cli.replay import replay
from workers.cli.response import commands as response
from workers.cli.verify import verify
from workers.cli.worker import worker
from workers.common.errors import MasteryError

app = typer.Typer(
    name="mastery",
    help="Knowledge tracing on Redis Streams: every response counted exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo)
app.command()(worker)
app.command()(replay)
app.command()(check)
app.add_typer(migrate.app)
app.add_typer(rejected.app)
app.add_typer(response.app)
app.add_typer(learner.app)
app.add_typer(parameters.app)
app.add_typer(concepts.app)
app.command()(verify)
app.command()(rebuild)
app.command()(reconcile)
app.command()(calibrate)
app.command()(evaluate)
app.command()(asyncapi)


def main() -> None:
    """Run the command; an error of ours is one message and exit status 1, never a traceback."""
    try:
        app()
    except MasteryError as error:
        print(f"mastery: {error}", file=sys.stderr)  # noqa: T201  # the command line's own voice
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
