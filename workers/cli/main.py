"""The `mastery` command line: all commands, grouped by family."""

import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typing_extensions import override

from workers.cli.commands import concepts, learner, migrate, parameters, rejected, response
from workers.cli.commands.asyncapi import asyncapi
from workers.cli.commands.calibrate import calibrate
from workers.cli.commands.check import check
from workers.cli.commands.demo import demo
from workers.cli.commands.dev import dev
from workers.cli.commands.evaluate import evaluate
from workers.cli.commands.rebuild import rebuild
from workers.cli.commands.reconcile import reconcile
from workers.cli.commands.replay import replay
from workers.cli.commands.token import token
from workers.cli.commands.verify import verify
from workers.cli.commands.worker import worker
from workers.cli.interruption import ending_at_once, interrupted
from workers.common.errors import MasteryError

_RUN: Final = "Run the engine"
_SET_UP: Final = "Set up"
_REPAIR: Final = "Audit and repair"
_DATA: Final = "Responses and learners"
_MODELS: Final = "Models and parameters"
_DEVELOP: Final = "Develop"
_PANELS: Final = (_RUN, _SET_UP, _REPAIR, _DATA, _MODELS, _DEVELOP)


class _Group(TyperGroup):
    """Lists commands panel by panel, and reports Ctrl-C in one line."""

    @override
    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        # Typer puts all single commands before all groups.
        return sorted(super().list_commands(ctx), key=self._place)

    def _place(self, name: str) -> int:
        panel: str = self.commands[name].rich_help_panel  # type: ignore[attr-defined]
        return _PANELS.index(panel)

    @override
    def make_context(self, *arguments: Any, **named: Any) -> typer.Context:
        # As in `invoke`.
        with ending_at_once():
            return super().make_context(*arguments, **named)  # type: ignore[return-value]

    @override
    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        # Typer alone would end silently.
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            interrupted()


app = typer.Typer(
    name="mastery",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from workers.common.version import package_version

        typer.echo(f"mastery {package_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # its callback does the work
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Knowledge tracing on Redis Streams: every response counted exactly once."""


app.command(rich_help_panel=_RUN)(demo)
app.command(rich_help_panel=_RUN)(dev)
app.command(rich_help_panel=_RUN)(worker)
app.command(rich_help_panel=_RUN)(replay)
app.command(rich_help_panel=_SET_UP)(check)
app.add_typer(migrate.app, name="migrate", rich_help_panel=_SET_UP)
app.add_typer(concepts.app, name="concepts", rich_help_panel=_SET_UP)
app.command(rich_help_panel=_REPAIR)(verify)
app.command(rich_help_panel=_REPAIR)(rebuild)
app.command(rich_help_panel=_REPAIR)(reconcile)
app.add_typer(rejected.app, name="rejected", rich_help_panel=_DATA)
app.add_typer(response.app, name="response", rich_help_panel=_DATA)
app.add_typer(learner.app, name="learner", rich_help_panel=_DATA)
app.command(rich_help_panel=_MODELS)(calibrate)
app.command(rich_help_panel=_MODELS)(evaluate)
app.add_typer(parameters.app, name="parameters", rich_help_panel=_MODELS)
app.command(rich_help_panel=_DEVELOP)(token)
app.command(rich_help_panel=_DEVELOP)(asyncapi)


def run() -> None:
    """Run the command; an error of the engine ends in one message and exit status 1."""
    try:
        app()
    except MasteryError as error:
        print(f"mastery: {error}", file=sys.stderr)  # noqa: T201  # the command line's own message
        sys.exit(1)
