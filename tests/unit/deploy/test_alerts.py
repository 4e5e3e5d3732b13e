"""The alert rules: each metric and label in them is one that `/metrics` really shows."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import yaml

from contracts.rejections import RejectionCode
from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, JOBS_GROUP, MASTERY, REJECTED, RESPONSES
from workers.metrics.engine_metrics import EngineMetrics
from workers.metrics.health import Check, Health
from workers.metrics.readiness_gauge import ReadinessGauge
from workers.metrics.stream_gauges import StreamGauges
from workers.streams.trimming import Bounds

FILE = Path(__file__).parents[3] / "deploy" / "prometheus" / "alerts.yml"
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
FUNCTIONS = {"absent", "deriv", "increase", "max", "min", "rate", "sum"}
WORDS = FUNCTIONS | {"and", "by", "group_left", "on", "unless"}
SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")
RANGE = re.compile(r"\[\d+[smhd]\]")

Samples = dict[str, list[dict[str, str]]]


@pytest.fixture
async def samples() -> Samples:
    """Labels of every sample that a worker shows, by the sample's name."""
    client = fakeredis.FakeAsyncRedis(version=(7,))
    for stream, group in ((RESPONSES, ENGINE_GROUP), (MASTERY, GRAPH_GROUP), ("j", JOBS_GROUP)):
        await client.xgroup_create(stream, group, id="0", mkstream=True)
    metrics = EngineMetrics("1")
    bounds = [
        Bounds(RESPONSES, ENGINE_GROUP),
        Bounds(MASTERY, GRAPH_GROUP, 10, 1_000),
        Bounds("j", JOBS_GROUP),
    ]
    gauges = StreamGauges(client, bounds, [REJECTED])

    async def ping() -> None:
        await client.ping()

    parts = ("redis", "ledger", "graph", "consumer")
    readiness = ReadinessGauge(Health([Check(part, ping) for part in parts], version="1"))
    metrics.registry.register(gauges)
    metrics.registry.register(readiness)
    await gauges.refresh()
    await readiness.refresh()
    await client.aclose()
    shown: Samples = defaultdict(list)
    for family in metrics.registry.collect():
        for sample in family.samples:
            shown[sample.name].append(sample.labels)
    return shown


def metrics_of(expression: str) -> set[str]:
    """Names in an expression that are neither functions nor labels."""
    bare = RANGE.sub(" ", GROUPING.sub(" ", re.sub(r"\{[^}]*\}", " ", expression)))
    return set(re.findall(r"[a-z_]{2,}", bare)) - WORDS


def test_given_the_rules_when_read_then_each_is_whole_and_named_once() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) >= 10
    for rule in RULES:
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert metrics_of(rule["expr"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_given_a_rule_then_the_metrics_show_each_of_its_names(
    rule: dict[str, Any], samples: Samples
) -> None:
    expression = rule["expr"]
    assert metrics_of(expression) - samples.keys() == set()
    labels = {
        label for name in metrics_of(expression) for sample in samples[name] for label in sample
    }
    grouped = {name for part in GROUPING.findall(expression) for name in re.findall(r"\w+", part)}
    assert grouped - labels == set()
    for metric, matchers in SELECTOR.findall(expression):
        for label, kind, value in MATCHER.findall(matchers):
            seen = {sample[label] for sample in samples[metric]}
            for wanted in value.split("|") if kind == "=~" else [value]:
                assert wanted in seen, f"{metric} has no {label}={wanted}"


@pytest.mark.parametrize("wrong", ["mastery_no_such_total", "rate(mastery_stream_lagg[5m]) > 0"])
def test_given_a_metric_that_nobody_shows_then_it_is_found(wrong: str, samples: Samples) -> None:
    assert metrics_of(wrong) - samples.keys()


def test_given_the_rules_when_searched_then_what_must_be_told_is_told() -> None:
    by_name = {rule["alert"]: rule for rule in RULES}
    poison = by_name["MasteryPoison"]
    assert f'code="{RejectionCode.POISON}"' in poison["expr"]
    assert "for" not in poison
    assert "MasteryRetentionNear" in by_name
    assert "mastery_dead_letters" in by_name["MasteryRejectedWaiting"]["expr"]
    # Workers that replay nobody show 0 all the time: it stalls if it falls nowhere.
    assert (
        "min(deriv(mastery_learners_outdated[30m])) >= 0" in by_name["MasteryReplayStalled"]["expr"]
    )


def test_given_the_rules_when_looked_up_in_the_docs_then_each_is_explained() -> None:
    told = OPERATIONS.read_text(encoding="utf-8")
    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in told] == []
