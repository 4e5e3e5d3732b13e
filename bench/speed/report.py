"""The result of a run: a table, and the same as JSON."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.speed.latency import LOADS
from bench.speed.turns import Measured

_PROCESSES = ("worker", "Postgres", "Redis", "replicas", "PostgREST", "gateway", "Neo4j")
_LATENCIES = ("", *(f" at {share:.0%}" for share in LOADS))


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(results: Sequence[Measured]) -> str:
    """Return a Markdown table; ratios are to the first row."""
    names = [p for p in _PROCESSES if any(p in result.used_s for result in results)]
    lone = any(result.lone_ms for result in results)
    heads = ["contender", "entries", "rate /s", "of first", *(f"{name} µs" for name in names)]
    heads += ["all µs", "all of first", "MiB"]
    heads += [f"p{p} ms{when}" for when in _LATENCIES for p in (50, 99)] if lone else []
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    first = results[0]
    for result in results:
        used = result.used_us()
        total, of_first = sum(used.values()), sum(first.used_us().values())
        cells = [result.contender.label, f"{sum(result.entries):,}", f"{result.rate:,.0f}"]
        cells += [f"{result.rate / first.rate:.3g}"]
        cells += [f"{used.get(name, 0.0):,.0f}" for name in names]
        cells += [f"{total:,.0f}", f"{total / of_first:.2f}", f"{result.memory_mb:.0f}"]
        if lone:
            for some in (result.lone_ms, *(result.loaded_ms.get(share, []) for share in LOADS)):
                cells += [f"{percentile(some, p):.1f}" if some else "" for p in (50, 99)]
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def document(results: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return all that was measured, as JSON values."""
    return [
        asdict(result) | {"rate": result.rate, "used_us": result.used_us()} for result in results
    ]
