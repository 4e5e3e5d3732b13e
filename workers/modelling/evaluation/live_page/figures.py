"""Draw the fit of stored predictions over time."""

from collections.abc import Sequence
from typing import Final

from workers.common.times import from_us
from workers.modelling.evaluation.live import LIMITS, Span
from workers.reports.svg import Plot
from workers.reports.wording import decimal, percent

_SIZE: Final = (1070.0, 300.0)
_MOST_DATES: Final = 6
_Z: Final = 1.959963984540054


def bias_over_time(spans: Sequence[Span], changes: Sequence[tuple[int, str]]) -> Plot:
    """Draw mean score minus prediction, in spans with equal numbers of responses.

    Args:
        spans: at least one.
        changes: number of the first response under new parameters, and the parameters' name.
    """
    middles = [_middle(span) for span in spans]
    values = [span.measures.bias.mean for span in spans]
    errors = [_Z * span.bias_error for span in spans]
    tolerated = LIMITS.bias
    edge = max(
        1.5 * tolerated, *(abs(value) + error for value, error in zip(values, errors, strict=True))
    )
    plot = _plot(
        "bias-over-time",
        "Score minus prediction over time",
        f"From {percent(values[0], 1)} to {percent(values[-1], 1)}; largest in size "
        f"{percent(max(values, key=abs), 1)}.",
        spans,
        (-edge, edge),
    )
    step = _step(edge)
    many = int(edge / step)
    _axes(
        plot,
        spans,
        [(k * step, f"{100 * k * step:+.0f}%" if k else "0%") for k in range(-many, many + 1)],
        "mean score minus prediction",
    )
    plot.band([0.0, float(_end(spans))], [-tolerated, -tolerated], [tolerated, tolerated], "gap")
    _mark(plot, changes)
    for x, value, error, span in zip(middles, values, errors, spans, strict=True):
        plot.line(
            plot.at_x(x),
            plot.at_y(value - error),
            plot.at_x(x),
            plot.at_y(value + error),
            "observed-error",
        )
        hint = (
            f"{_when(span)}: {percent(span.score, 1)} right, {percent(span.probability, 1)} "
            f"predicted, {span.measures.responses:,} responses"
        )
        plot.dot(x, value, 4.0, "observed-dot", hint)
    return plot


def loss_over_time(spans: Sequence[Span], changes: Sequence[tuple[int, str]]) -> Plot:
    """Draw log loss and the log loss expected if the predictions are right.

    Args:
        spans: at least one.
        changes: number of the first response under new parameters, and the parameters' name.
    """
    losses = [span.measures.log_loss for span in spans]
    expected = [span.entropy for span in spans]
    low, high = min(*losses, *expected), max(*losses, *expected)
    step = _step(high - low)
    bottom, top = int(low / step) * step, (int(high / step) + 1) * step
    plot = _plot(
        "loss-over-time",
        "Log loss over time",
        f"From {decimal(losses[0])} to {decimal(losses[-1])} nats; expected if the predictions "
        f"are right: {decimal(expected[0])} and {decimal(expected[-1])}.",
        spans,
        (bottom, top),
    )
    many = round((top - bottom) / step)
    digits = 3 if step < 0.01 else 2
    _axes(
        plot,
        spans,
        [(bottom + k * step, f"{bottom + k * step:.{digits}f}") for k in range(many + 1)],
        "log loss, nats",
    )
    _mark(plot, changes)
    middles = [_middle(span) for span in spans]
    plot.curve(middles, expected, "predicted")
    plot.curve(middles, losses, "observed")
    for x, loss, span in zip(middles, losses, spans, strict=True):
        hint = (
            f"{_when(span)}: {decimal(loss)}, expected {decimal(span.entropy)}; "
            f"AUC {decimal(span.measures.auc)}"
        )
        plot.dot(x, loss, 3.0, "observed-dot", hint)
    return plot


def _plot(name: str, title: str, text: str, spans: Sequence[Span], y: tuple[float, float]) -> Plot:
    return Plot(name, title, text, *_SIZE, (0.0, float(_end(spans))), y, left=58, right=20)


def _axes(
    plot: Plot, spans: Sequence[Span], y_ticks: Sequence[tuple[float, str]], label: str
) -> None:
    step = max(1, -(-len(spans) // _MOST_DATES))
    dates = [(float(span.first), _date(span.from_us)) for span in spans[::step]]
    plot.grid(dates, y_ticks, "recorded at; equal numbers of responses in each step", label)


def _mark(plot: Plot, changes: Sequence[tuple[int, str]]) -> None:
    for at, name in changes:
        x = plot.at_x(at)
        plot.line(x, plot.top, x, plot.at_y(plot.y[0]), "marker")
        plot.text(x + 5, plot.top + 9, name, "tick")


def _middle(span: Span) -> float:
    return span.first + span.measures.responses / 2.0


def _end(spans: Sequence[Span]) -> int:
    return spans[-1].first + spans[-1].measures.responses


def _step(size: float) -> float:
    """Return a distance between ticks that gives at most four of them."""
    return next(
        (step for step in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if size / step <= 4.0),
        1.0,
    )


def _when(span: Span) -> str:
    return f"{_date(span.from_us)} to {_date(span.until_us)}"


def _date(at_us: int) -> str:
    return from_us(at_us).strftime("%d %b %Y %H:%M")
