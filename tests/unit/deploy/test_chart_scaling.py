"""Scaling in the Helm chart: a trigger for each shard, and never more readers than streams."""

import re
from math import ceil
from typing import Any

import pytest

from contracts.streams import ENGINE_GROUP, shards
from tests.support.chart import Manifest, of_kind, refusal

pytestmark = pytest.mark.servers

_ADDRESS = "redis.school:6379"


def _scaled(count: int, cluster: bool = False, **autoscaling: Any) -> Manifest:
    redis = {"address": _ADDRESS} | autoscaling.pop("redis", {})
    return {
        "settings": {"STREAM_SHARDS": count},
        "redis": {"cluster": cluster},
        "autoscaling": {"enabled": True, "redis": redis, **autoscaling},
    }


def _spec(values: Manifest) -> Manifest:
    (only,) = of_kind("ScaledObject", values).values()
    return dict(only["spec"])


@pytest.mark.parametrize("count", [1, 3, 12])
def test_given_shards_then_one_object_has_a_lag_trigger_for_each(count: int) -> None:
    spec = _spec(_scaled(count))
    triggers = spec["triggers"]
    assert [trigger["metadata"]["stream"] for trigger in triggers] == [
        shard.responses for shard in shards(count)
    ]
    for trigger in triggers:
        assert trigger["type"] == "redis-streams"
        assert trigger["metadata"]["consumerGroup"] == ENGINE_GROUP
        assert int(trigger["metadata"]["lagCount"]) > 0
        assert trigger["metadata"]["address"] == _ADDRESS
        # KEDA takes text alone.
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert len({trigger["name"] for trigger in triggers}) == count


@pytest.mark.parametrize(("most", "expected"), [(0, 6), (4, 4), (6, 6)])
def test_given_shards_then_workers_are_one_to_as_many(most: int, expected: int) -> None:
    values = _scaled(6, maxReplicas=most)
    spec = _spec(values)
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, expected)
    engine = of_kind("Deployment", values)["engine"]
    assert spec["scaleTargetRef"]["name"] == engine["metadata"]["name"]
    # Else each upgrade would undo what KEDA decided.
    assert "replicas" not in engine["spec"]
    assert of_kind("Deployment", values)["graph"]["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (_scaled(3, maxReplicas=4), "only 3 workers can read 3 shards"),
        (_scaled(3, minReplicas=4), "autoscaling.minReplicas is 4"),
        (_scaled(0), "autoscaling needs settings.STREAM_SHARDS of 1 or more"),
        (_scaled(3, redis={"address": ""}), "autoscaling.redis.address is missing"),
        (_scaled(3, redis={"address": "redis://u:p@h:6379"}), "autoscaling/redis/address"),
        (_scaled(3, minReplicas=0), "autoscaling/minReplicas"),
    ],
)
def test_given_scaling_that_cannot_work_then_a_sentence_says_why(
    values: Manifest, sentence: str
) -> None:
    assert sentence in refusal(values)


@pytest.mark.parametrize("without_keda", [{}, {"settings": {"STREAM_SHARDS": 0}}])
def test_given_the_plain_stream_then_one_reads_and_one_stands_by(without_keda: Manifest) -> None:
    assert of_kind("ScaledObject", without_keda) == {}
    assert of_kind("Deployment", without_keda)["engine"]["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("lags", "workers"),
    [
        ([0, 0, 0], 0),
        ([200, 300, 400], 1),
        ([900, 900, 900], 3),
        # One stream has one reader, however much waits in it.
        ([90_000, 0, 0], 1),
        ([90_000, 90_000, 100], 3),
        ([90_000, 90_000, 90_000], 3),
    ],
)
def test_given_lags_when_the_formula_counts_then_workers_follow(
    lags: list[int], workers: int
) -> None:
    modifiers = _spec(_scaled(3, lagCount=1_000))["advanced"]["scalingModifiers"]
    terms = [
        re.fullmatch(r"min\(shard(\d+), (\d+)\)", term)
        for term in modifiers["formula"].split(" + ")
    ]
    total = sum(min(lags[int(term[1])], int(term[2])) for term in terms if term)
    assert [term and int(term[1]) for term in terms] == [0, 1, 2]
    assert modifiers["metricType"] == "AverageValue"
    assert ceil(total / int(modifiers["target"])) == workers


def test_given_a_cluster_then_its_scaler_gets_the_nodes() -> None:
    nodes = "redis-0:6379,redis-1:6379"
    triggers = _spec(_scaled(3, cluster=True, redis={"address": nodes}))["triggers"]
    for trigger in triggers:
        assert trigger["type"] == "redis-cluster-streams"
        assert trigger["metadata"]["addresses"] == nodes
        assert "databaseIndex" not in trigger["metadata"]


def test_given_a_password_then_keda_reads_it_from_the_secret() -> None:
    reference = {"name": "keda", "key": "password"}
    values = _scaled(2, redis={"passwordSecret": reference, "tls": True})
    (authentication,) = of_kind("TriggerAuthentication", values).values()
    assert authentication["spec"]["secretTargetRef"] == [{"parameter": "password", **reference}]
    for trigger in _spec(values)["triggers"]:
        assert trigger["authenticationRef"] == {"name": authentication["metadata"]["name"]}
        assert trigger["metadata"]["enableTLS"] == "true"
    assert of_kind("TriggerAuthentication", _scaled(2)) == {}
