"""The AsyncAPI viewer in a real browser that can reach nothing but us."""

from pathlib import Path

from tests.support.browser import Browser, check_seen
from workers.metrics.engine_metrics import EngineMetrics
from workers.reference.asyncapi import build_document
from workers.reference.channels import EVENT_TYPES
from workers.reference.sockets import SOCKETS
from workers.web.http import application, inner_routes
from workers.web.server import HttpServer

_MOST_BYTES = 700_000

_NAVIGATION = """(() => {
  const seen = document.querySelector(".sidebar").getBoundingClientRect();
  return [seen.left, seen.top < innerHeight, seen.width > 200];
})()"""
_EXAMPLES = """[...document.querySelectorAll("#operations .examples")]
  .filter((examples) => examples.querySelector("pre")?.innerText.includes("{")).length"""
_EXPANDED = """(async () => {
  const all = [...document.querySelectorAll("button")].filter((b) => b.innerText === "Expand all");
  // Some: axe would take minutes for all.
  for (const button of all.slice(0, 2)) button.click();
  await new Promise((resolve) => setTimeout(resolve, 500));
  return all.length;
})()"""
_BACKTICKS = """[...document.querySelectorAll(".aui-root code")].filter((element) =>
  ["::before", "::after"].some((part) =>
    getComputedStyle(element, part).content.includes("`"))).length
  + (document.body.innerText.match(/`/g) ?? []).length"""
_MENU = """[...document.querySelectorAll(".burger-menu")].map((menu) =>
  [menu.getAttribute("role"), menu.tabIndex, menu.getAttribute("aria-label")])"""


async def test_given_no_network_when_opened_then_it_shows_all_messages(
    node_modules: Path, chromium: Path
) -> None:
    app = application(
        inner_routes(registry=EngineMetrics("1.2.3").registry, document=build_document())
    )
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        own = f"127.0.0.1:{server.port}"
        seen = await Browser(node_modules, chromium).open(
            f"http://{own}/docs",
            *EVENT_TYPES.values(),
            steps=[
                ("evaluate", _NAVIGATION),
                ("evaluate", _EXAMPLES),
                ("evaluate", _EXPANDED),
                ("evaluate", _BACKTICKS),
                ("evaluate", _MENU),
            ],
        )
    finally:
        await server.stop()

    for name in EVENT_TYPES.values():
        assert name in seen["text"]
    assert "practice.mastery.v1" in seen["text"]
    check_seen(seen, own)
    assert any(url.endswith("/asyncapi.json") for url in seen["requests"])
    assert 0 < seen["bytes"] < _MOST_BYTES
    navigation, examples, expanded, backticks, menu = seen["values"]
    assert navigation == [0, True, True]
    assert examples == len(EVENT_TYPES) + len(SOCKETS)
    assert expanded > 0
    assert backticks == 0
    assert menu == [["button", 0, "Menu"]]
    for view in seen["views"]:
        assert "heading-order" not in [found["id"] for found in view["violations"]]
