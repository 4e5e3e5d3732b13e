"""The options of `mastery reconcile`, before any server is asked."""

import pytest
from typer.testing import CliRunner

from workers.cli import setting_up
from workers.cli.main import app
from workers.cli.reconcile import start
from workers.cli.reconcile.report import Report
from workers.cli.reconcile.run import Order
from workers.common.errors import LedgerRefused
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.operations.repair.scope import Cursor, Phase, Scope

PUBLISHING = Cursor(Phase.PUBLISH, LearnerKey("t", "s"))


@pytest.fixture(autouse=True)
def no_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs would go on to the runner's stream after it is closed."""
    monkeypatch.setattr(setting_up, "configure_logs", lambda *_: None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--publish"], "belong together"),
        (["--since", "2h"], "belong together"),
        (["--publish", "--since", "yesterday"], "is not a time"),
        (["--cursor", "x"], "is not a cursor"),
        (["--cursor", str(PUBLISHING)], "with --publish"),
    ],
)
def test_given_options_that_do_not_go_together_then_they_are_refused(
    arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(app, ["reconcile", *arguments], env={"COLUMNS": "300"})

    assert result.exit_code == 2
    assert said in result.output


def test_given_a_student_alone_then_the_default_tenant_and_findings_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing_differs(_: Settings, order: Order, report: Report) -> None:
        assert order.scope == Scope("default", "s")
        report.finished = True

    monkeypatch.setattr(start, "_reconcile", nothing_differs)
    result = CliRunner().invoke(app, ["reconcile", "--student", "s"])

    assert (result.exit_code, result.exception) == (0, None)
    assert "no difference" in result.stdout


def test_given_a_failure_on_the_way_then_it_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(_: Settings, order: Order, report: Report) -> None:
        assert order.cursor == PUBLISHING
        report.cursor = PUBLISHING
        raise LedgerRefused("no")

    monkeypatch.setattr(start, "_reconcile", fails)
    arguments = ["--publish", "--since", "2h", "--cursor", str(PUBLISHING)]
    result = CliRunner().invoke(app, ["reconcile", *arguments])

    assert isinstance(result.exception, LedgerRefused)
    assert f"failed: continue with --cursor {PUBLISHING}" in result.stderr
