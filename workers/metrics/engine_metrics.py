"""Prometheus metrics of the engine."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from contracts.rejections import RejectionCode
from workers.estimation.learner import LearnerKey, Outcome, Response
from workers.metrics.distinct import DistinctCount
from workers.metrics.drift.monitor import PredictionMonitor
from workers.metrics.drift.windows import CurveBin
from workers.metrics.meter import Stage
from workers.metrics.prediction_gauges import PredictionGauges, log_drift

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ENTRIES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)


class EngineMetrics:
    """The metrics of one process, in a registry of its own.

    Every value of every label exists from the start, so that a rate sees the first event.

    Args:
        version: version of the engine.
        by_concept: also show predictions by concept, for a listener that only operators reach.
    """

    def __init__(self, version: str, *, by_concept: bool = False) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Gauge("mastery_build_info", "Always 1.", ["version"], registry=self.registry).labels(
            version
        ).set(1)
        self._watch = PredictionMonitor(log_drift)
        self.registry.register(PredictionGauges(self._watch, by_concept=by_concept))
        self.applied = self._counter("applied", "Responses applied to their learner's state.")
        self.duplicates = self._counter("duplicate", "Responses that were in the log already.")
        self.late = self._counter("late", "Responses applied by replaying their learner.")
        self.conflicts = Counter(
            "mastery_commit_conflicts",
            "Learners that another worker had changed since they were loaded.",
            registry=self.registry,
        )
        self._rejected = Counter(
            "mastery_responses_rejected",
            "Entries sent to the rejections.",
            ["code"],
            registry=self.registry,
        )
        self._trimmed = Counter(
            "mastery_stream_trimmed",
            "Entries that this worker removed from a stream, since no group needed them.",
            ["stream"],
            registry=self.registry,
        )
        self._stages = Histogram(
            "mastery_batch_stage_seconds",
            "Time that a batch spent in a stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._sizes = Histogram(
            "mastery_batch_entries",
            "Entries of a batch.",
            buckets=_ENTRIES,
            registry=self.registry,
        )
        self._version = Gauge(
            "mastery_parameters_version",
            "Version of the parameters under which this worker computes.",
            registry=self.registry,
        )
        self._outdated = Gauge(
            "mastery_learners_outdated",
            "Learners whose state is under another version of the parameters than the active one.",
            registry=self.registry,
        )
        self._set_aside = Gauge(
            "mastery_learners_set_aside",
            "Learners whose log is too long for a batch, or whose load takes too long.",
            registry=self.registry,
        )
        self._reading = Gauge(
            "mastery_leases_held",
            "Responses streams that this worker reads; 0: it stands by.",
            registry=self.registry,
        )
        self._learners = DistinctCount()
        Gauge(
            "mastery_learners_touched",
            "Learners with a response that this worker applied since its start, within 1 %.",
            registry=self.registry,
        ).set_function(self._learners.count)
        self._version.set(1)
        for code in RejectionCode:
            self._rejected.labels(code.value)
        for stage in get_args(Stage):
            self._stages.labels(stage)

    def predicted(self, responses: Sequence[Response], outcomes: Sequence[Outcome]) -> None:
        """Compare predictions of applied responses with their scores."""
        self._watch.observe(responses, outcomes)

    def touched(self, learner: LearnerKey) -> None:
        """Count a learner, once however often it comes."""
        self._learners.add(learner)

    def calibration(self) -> list[CurveBin]:
        """Return the calibration curve of the newest predictions, without empty bins."""
        return self._watch.curve()

    def rejected(self, code: RejectionCode, count: int = 1) -> None:
        """Count entries sent to the rejections."""
        self._rejected.labels(code.value).inc(count)

    def trimmed(self, stream: str, entries: int) -> None:
        """Count entries removed from a stream."""
        self._trimmed.labels(stream).inc(entries)

    def computing_under(self, version: int) -> None:
        """Show the version of the parameters of this process."""
        self._version.set(version)

    def reading(self, streams: int) -> None:
        """Show the number of responses streams that this worker reads."""
        self._reading.set(streams)

    def outdated(self, learners: int) -> None:
        """Show the number of learners under another version than the active one."""
        self._outdated.set(learners)

    def set_aside(self, learners: int) -> None:
        """Show the number of learners set aside."""
        self._set_aside.set(learners)

    def batch(self, entries: int) -> None:
        """Count a batch.

        Args:
            entries: number of its entries.
        """
        self._sizes.observe(entries)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Measure the time that a batch spends in a stage, failures included."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._stages.labels(stage).observe(time.perf_counter() - began)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"mastery_responses_{name}", text, registry=self.registry)
