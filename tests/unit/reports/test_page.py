"""The one environment of all pages: escaping, undefined names, colours, late import."""

import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from tests.support.pages import EVIL
from workers.demo.report import render_report
from workers.reports import page
from workers.reports.lines import COLOURS, LABELS_WIDTH, PATTERNS, label_ends, line_style
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
    rows = Rows([EVIL, EVIL], [[EVIL, EVIL]])
    assert macro("table(rows)", rows=rows).count("&lt;script&gt;") == 5
    assert macro("tiles([(x, x, x)])", x=EVIL).count("&lt;script&gt;") == 3


@pytest.mark.parametrize(("size", "folded"), [(39, False), (40, True)])
def test_given_a_long_table_when_drawn_then_it_is_folded(size: int, folded: bool) -> None:
    html = macro("table(rows, of='things')", rows=Rows(["head"], [["row"]] * size))
    assert ("<summary>All 40 things</summary>" in html) == folded
    assert html.count("<details>") == html.count("</details>") == folded


def test_given_a_missing_variable_when_rendered_then_an_error_is_raised() -> None:
    with pytest.raises(UndefinedError, match="'data' is undefined"):
        render_page("demo/report.html.jinja", NOW)


def test_given_eighteen_lines_then_each_looks_different() -> None:
    styles = [line_style(number) for number in range(COLOURS * PATTERNS)]
    assert len(set(styles)) == 18
    style = files("workers.reports").joinpath("page.css").read_text(encoding="utf-8")
    for name in {name for of in styles for name in (*of.line.split(), *of.dot.split())} - {"l0"}:
        assert f".{name} {{" in style


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_given_lines_that_end_together_then_their_names_stand_apart(ends: list[float]) -> None:
    plot = Plot("name", "title", "text", 500, 300, (0.0, 1.0), (0.0, 1.0), right=LABELS_WIDTH)
    names = [f"line {number}" for number in range(len(ends))]
    styles = {name: line_style(number) for number, name in enumerate(names)}
    points = {name: [(1.0, end)] for name, end in zip(names, ends, strict=True)}

    label_ends(plot, points, styles)

    places = sorted(float(mark.attributes["y"]) for mark in plot.marks if mark.tag == "text")
    assert len(places) == len(ends)
    assert all(after - before > 11.5 for before, after in pairwise(places))
    assert all(plot.top <= place <= plot.height - plot.bottom + 4 for place in places)


def test_given_a_table_when_drawn_then_each_cell_names_its_column() -> None:
    html = macro("table(rows)", rows=Rows(["name", "one", "two"], [["row", "1", "2"]]))
    assert '<td data-head="one">1</td><td data-head="two">2</td>' in html


def test_given_the_pages_when_imported_then_jinja2_is_not() -> None:
    modules = [render_report.__module__, "workers.modelling.evaluation.page.report"]
    modules.append("workers.modelling.evaluation.live_page.report")
    code = f"import sys, {', '.join(modules)}; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
