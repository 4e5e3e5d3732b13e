"""The one environment of all pages: escaping, undefined names, colours, late import."""

import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from tests.support.pages import EVIL
from workers.demo.report import render_report
from workers.reports import page
from workers.reports.page import render_page
from workers.reports.rows import Rows
from workers.reports.svg import Plot

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def macro(call: str, **values: object) -> str:
    source = '{% import "reports/pieces.html.jinja" as pieces %}{{ pieces.' + call + " }}"
    return page._environment().from_string(source).render(values)


def test_given_markup_in_a_plot_when_drawn_then_all_of_it_is_text() -> None:
    plot = Plot("name", EVIL, EVIL, 100, 100, (0.0, 1.0), (0.0, 1.0))
    plot.grid([(0.0, EVIL)], [(0.0, EVIL)], EVIL, EVIL)
    plot.text(1.0, 1.0, EVIL, '"><script>')
    plot.rectangle((0.0, 1.0), (0.0, 1.0), "count", EVIL)
    plot.dot(0.0, 0.0, 1.0, "dot", EVIL)
    html = macro("figure(plot, heading)", plot=plot, heading=EVIL)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 11


def test_given_markup_in_tables_and_tiles_when_drawn_then_it_is_text() -> None:
    rows = Rows([EVIL], [[EVIL, EVIL]])
    assert macro("table(rows)", rows=rows).count("&lt;script&gt;") == 3
    assert macro("tiles([(x, x, x)])", x=EVIL).count("&lt;script&gt;") == 3


@pytest.mark.parametrize(("size", "folded"), [(39, False), (40, True)])
def test_given_a_long_table_when_drawn_then_it_is_folded(size: int, folded: bool) -> None:
    html = macro("table(rows, of='things')", rows=Rows(["head"], [["row"]] * size))
    assert ("<summary>All 40 things</summary>" in html) == folded
    assert html.count("<details>") == html.count("</details>") == folded


def test_given_a_missing_variable_when_rendered_then_an_error_is_raised() -> None:
    with pytest.raises(UndefinedError, match="'data' is undefined"):
        render_page("demo/report.html.jinja", NOW)


def test_given_colours_when_computed_then_only_those_of_no_style_sheet() -> None:
    hues = page._hues([7, 0, 6, 5, 7])
    assert hues == {6: 105, 7: 243}
    style = files("workers.reports").joinpath("page.css").read_text(encoding="utf-8")
    assert ".m5 {" in style
    assert ".m6 {" not in style


def test_given_the_pages_when_imported_then_jinja2_is_not() -> None:
    modules = [render_report.__module__, "workers.modelling.evaluation.page.report"]
    modules.append("workers.modelling.evaluation.live_page.report")
    code = f"import sys, {', '.join(modules)}; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
