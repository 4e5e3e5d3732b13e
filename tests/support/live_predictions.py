"""Read predictions from worker, metrics and ledger, and compute the expected values separately."""

import json
import math
import socket
import time
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from contracts.streams import ENGINE_GROUP, RESPONSES

_PATIENCE_S: Final = 600.0
GROUPS: Final = {"0": (0, 0), "1-4": (1, 4), "5-9": (5, 9), "10-19": (10, 19), "20-49": (20, 49)}

Row = dict[str, Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def drained(redis_url: str) -> None:
    """Wait until a worker has acknowledged everything published."""
    deadline = time.monotonic() + _PATIENCE_S
    async with Redis.from_url(redis_url) as client:
        while True:
            try:
                groups: Any = await client.xinfo_groups(RESPONSES)
            except ResponseError:
                groups = []  # the stream does not exist yet
            if any(
                g["name"] == ENGINE_GROUP.encode() and g["lag"] == 0 and g["pending"] == 0
                for g in groups
            ):
                return
            assert time.monotonic() < deadline, groups
            time.sleep(0.05)


async def stored_rows(dsn: str) -> list[Row]:
    """Read predictions and scores from the table, in the order of recording."""
    connection = await asyncpg.connect(dsn)
    try:
        records = await connection.fetch(
            "select concept_ids, score, outcome from public.student_responses order by version"
        )
    finally:
        await connection.close()
    rows = []
    for concept_ids, score, text in records:
        outcome = json.loads(text)
        own = [concept for concept in outcome["concepts"] if concept["concept_id"] in concept_ids]
        mean = sum(change["probability_correct"] for change in own) / len(own)
        first = next(data for data in own if data["concept_id"] == concept_ids[0])
        rows.append(
            {
                "concepts": concept_ids,
                "score": score,
                "probability": outcome.get("probability_correct", mean),
                "before": first["attempts"] - 1,
            }
        )
    return rows


def expected(rows: Sequence[Row], window: float = math.inf) -> dict[str, float]:
    """Compute AUC by the trapezoids of the ROC curve, and the other measures by explicit sums.

    Args:
        rows: predictions.
        window: number of rows in which a weight falls to 1/e; infinite gives all rows weight 1.
    """
    decay = 1.0 - 1.0 / window
    weights = [decay**k for k in range(len(rows))][::-1]
    total = math.fsum(weights)
    loss, square, misfit = [], [], []
    bins: list[float] = [0.0] * 10
    for weight, row in zip(weights, rows, strict=True):
        s, p = row["score"], row["probability"]
        loss.append(-weight * (s * math.log(p) + (1 - s) * math.log(1 - p)))
        square.append(weight * (s - p) ** 2)
        misfit.append(weight * (s - p))
        bins[min(int(p * 10), 9)] += weight * (s - p)
    return {
        "auc": _trapezoids(rows, weights),
        "log_loss": math.fsum(loss) / total,
        "brier": math.fsum(square) / total,
        "rmse": math.sqrt(math.fsum(square) / total),
        "ece": math.fsum(map(abs, bins)) / total,
        "bias": math.fsum(misfit) / total,
        "answers": total,
    }


def _trapezoids(rows: Sequence[Row], weights: Sequence[float]) -> float:
    told = np.array([row["probability"] for row in rows])
    order = np.argsort(-told, kind="stable")
    right = np.array([row["score"] >= 0.5 for row in rows])[order]
    weight = np.array(weights)[order]
    ends = np.append(np.flatnonzero(np.diff(told[order])), told.size - 1)
    hits = np.append(0.0, np.cumsum(weight * right)[ends])
    misses = np.append(0.0, np.cumsum(weight * ~right)[ends])
    if hits[-1] * misses[-1] == 0.0:
        return math.nan
    return float(np.trapezoid(hits / hits[-1], misses / misses[-1]))


def in_group(rows: Sequence[Row], label: str) -> list[Row]:
    low, high = GROUPS.get(label, (50, 10**9))
    return [row for row in rows if low <= row["before"] <= high]


def on_concept(rows: Sequence[Row], concept: str) -> list[Row]:
    return [row for row in rows if concept in row["concepts"]]


def scraped(port: int) -> dict[tuple[str, str], float]:
    """Read the predictions on `/metrics`, by name and the value of their one label."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name.removeprefix("mastery_prediction_"), "".join(sample.labels.values())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("mastery_prediction_")
    }


def live_differences(document: dict[str, Any], rows: Sequence[Row]) -> list[str]:
    """List where `evaluate --live --json` differs from its rows."""
    wrong = _compared("overall", document["overall"], rows)
    wrong += _compared("version 1", document["parameters_versions"]["1"], rows)
    for label, of in document["histories"].items():
        if chosen := in_group(rows, label):
            wrong += _compared(f"history {label}", of, chosen)
    names = {name for row in rows for name in row["concepts"]}
    if names != document["concepts"].keys():
        wrong.append(f"concepts {sorted(names ^ document['concepts'].keys())}")
    for name in names & document["concepts"].keys():
        wrong += _compared(f"concept {name}", document["concepts"][name], on_concept(rows, name))
    return wrong


def _compared(what: str, of: dict[str, Any], rows: Sequence[Row]) -> list[str]:
    theirs = expected(rows)
    wrong = [] if of["responses"] == len(rows) else [f"{what}: {of['responses']} responses"]
    for name in ("auc", "log_loss", "brier", "rmse", "ece", "bias"):
        told = math.nan if of[name] is None else of[name]
        if not math.isclose(told, theirs[name], rel_tol=1e-9, abs_tol=1e-12) and not (
            math.isnan(told) and math.isnan(theirs[name])
        ):
            wrong.append(f"{what}: {name} is {told}, not {theirs[name]}")
    return wrong


def metric_differences(
    shown: dict[tuple[str, str], float], rows: Sequence[Row], *, size: int, size_of_concept: int
) -> list[str]:
    """List where the metrics differ from the rows, weighted as the windows weigh them."""
    wrong = _weighted(shown, "", "", expected(rows, size))
    for label in [*GROUPS, "50+"]:
        if chosen := in_group(rows, label):
            wrong += _weighted(shown, "_by_history", label, expected(chosen, size))
    for name in {label for what, label in shown if what == "auc_by_concept"} - {"other"}:
        # A concept that came late, or seldom at first, is counted from its first place on.
        told = shown["answers_by_concept", name]
        counted = math.log1p(-told / size_of_concept) / math.log1p(-1 / size_of_concept)
        theirs = expected(on_concept(rows, name)[-round(counted) :], size_of_concept)
        wrong += _weighted(shown, "_by_concept", name, theirs)
    return wrong


def _weighted(
    shown: dict[tuple[str, str], float], by: str, label: str, theirs: dict[str, float]
) -> list[str]:
    wrong = []
    for name in ("auc", "log_loss", "brier", "ece", "answers"):
        told = shown[f"{name}{by}", label]
        # The metric computes the area from bins.
        far = 1e-3 if name == "auc" else 1e-9
        if not math.isclose(told, theirs[name], abs_tol=far, rel_tol=1e-9) and not (
            math.isnan(told) and math.isnan(theirs[name])
        ):
            wrong.append(f"{name}{by} {label} is {told}, not {theirs[name]}")
    return wrong
