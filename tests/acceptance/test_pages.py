"""Our pages in a real browser: nothing foreign, no error, accessible, and fit for a phone."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.support.browser import Browser, check_seen
from tests.support.dead_letters import add_with_token
from tests.support.http_callers import operator
from tests.support.served_pages import served_pages
from tests.unit.demo.test_report import large
from tests.unit.modelling.evaluation.test_report import evaluated, evaluation
from workers.demo.report import render_report
from workers.dev.settings import development_settings
from workers.dev.starting import started_dev
from workers.modelling.calibration.fitting import MODELS
from workers.modelling.evaluation.page.report import render_evaluation
from workers.web.http import application
from workers.web.server import HttpServer

# Every process would make again what the tests share.
pytestmark = pytest.mark.xdist_group("pages")


@pytest.fixture
def browser(node_modules: Path, chromium: Path) -> Browser:
    return Browser(node_modules, chromium)


async def test_given_anybody_when_they_open_the_front_page_then_there_are_links(
    browser: Browser,
) -> None:
    async with served_pages() as served:
        seen = await browser.open(f"http://{served.outer}/")

    check_seen(seen, served.outer)
    assert seen["text"].split() == [
        "Mastery", "Engine", "Events", "and", "streams", "AsyncAPI", "document", "Metrics",
        "Health", "Status,", "for", "operators",
    ]  # fmt: skip


async def test_given_the_inner_listener_then_the_status_and_a_letter_are_shown(
    browser: Browser,
) -> None:
    async with served_pages() as served:
        letter_id = await add_with_token(served.redis)
        seen = await browser.open(
            f"http://{served.inner}/",
            "conflict",
            steps=[
                ["fill", "#token", operator()],
                ["press", "Enter"],
                ["see", letter_id],
                ["click", "#found button"],
                ["see", "(redacted)"],
            ],
        )

    check_seen(seen, served.inner)
    assert "eyJ" not in seen["text"]
    for shown in ("Rate", "Lag", "Pending", "Dead letters", "Learners touched", "redis", "AUC"):
        assert shown in seen["text"]


async def test_given_the_public_listener_then_the_status_asks_for_a_token(
    browser: Browser,
) -> None:
    async with served_pages() as served:
        seen = await browser.open(
            f"http://{served.outer}/status",
            "Waiting for a token",
            steps=[["fill", "#token", operator()], ["press", "Enter"], ["see", "As of"]],
        )

    check_seen(seen, served.outer)
    assert "Learners touched" in seen["text"]


@cache
def _evaluation() -> str:
    told = evaluated("bkt")
    return render_evaluation(evaluation("bkt", predictions=dict.fromkeys(MODELS, told)))


@cache
def _demo() -> str:
    return render_report(large(60, 12, 4_000))


@asynccontextmanager
async def _report(html: str) -> AsyncIterator[str]:
    async def page(_: Request) -> Response:
        return HTMLResponse(html)

    async def no_icon(_: Request) -> Response:
        return Response(status_code=204)

    server = HttpServer(
        application([Route("/", page), Route("/favicon.ico", no_icon)]), "127.0.0.1", 0
    )
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop()


@pytest.mark.parametrize("report", [_demo, _evaluation], ids=["demo", "evaluate"])
async def test_given_a_report_then_it_is_accessible_and_fits_a_phone(
    browser: Browser, report: Callable[[], str]
) -> None:
    async with _report(report()) as host:
        seen = await browser.open(f"http://{host}/")

    check_seen(seen, host)
    assert "MASTERY ENGINE" in seen["text"]


async def test_given_mastery_dev_when_questions_are_answered_then_mastery_moves(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTP_PORT", "0")
    settings = development_settings(None)
    async with started_dev(settings, tmp_path / "key.pem") as running:
        host = running.urls.http_url.removeprefix("http://")
        answered = (["click", "#right"], ["click", "#choices button"], ["press", "Enter"])
        seen = await browser.open(
            f"http://{host}/",
            "Live.",
            steps=[
                step
                for number, answer in enumerate((*answered, *answered), start=1)
                for step in (answer, ["see", f"of {number} within"])
            ],
        )

    check_seen(seen, host)
    assert f"ws://{host}/v1/ws/students/student-001/mastery" in seen["requests"]
    assert "numbers.place-value" in seen["text"]
    assert "θ = " in seen["text"]
    assert '"transition"' in seen["text"]
