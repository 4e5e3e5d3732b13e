"""Jobs that settings ask for: which, when, and how their requests are known for what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import orjson

from contracts.jobs import JobRequested
from contracts.rejections import RejectionCode
from workers.common.cron import latest
from workers.common.errors import Refused
from workers.common.times import iso, to_us
from workers.identity.claims import all_claims, tenant_of
from workers.operations.jobs.record import JobKey, JobRequest

SOURCE: Final = "/mastery-engine/schedule"
"""The source of the events, and the issuer of their claims."""
SUBJECT: Final = "schedule"

_NAMESPACE: Final = UUID("6d617374-6572-4579-8000-7363686564ff")
_OF_ALL_TENANTS: Final = frozenset({"calibrate"})
_AHEAD_MS: Final = 60_000
_VALID_S: Final = 3_600


class Slot(NamedTuple):
    """A moment at which a job is due."""

    kind: str
    tenant_id: str
    at_ms: int
    """Milliseconds since 1970."""

    @property
    def job(self) -> JobRequest:
        """The job: of each slot always the same one, so that it is one job whoever asks."""
        name = f"{self.kind}/{self.at_ms}/{self.tenant_id}"
        key = JobKey(self.tenant_id, str(uuid5(_NAMESPACE, name)))
        return JobRequest(key, self.kind, {}, SUBJECT)


@dataclass(frozen=True)
class Schedule:
    """When which jobs are due, by Redis's clock.

    Args:
        expressions: of each kind of job that has one, as `workers.common.cron` takes it.
        tenants: whose jobs they are; calibration is the first one's.
        tenant_claim: dotted path of the claim that names the tenant.
        max_queue_age_s: no older slot is made up for, seconds.
    """

    expressions: Mapping[str, str]
    tenants: Sequence[str]
    tenant_claim: str
    max_queue_age_s: int

    def latest(self, now_ms: int) -> list[Slot]:
        """Of each kind and tenant the latest slot."""
        return [
            Slot(kind, tenant_id, latest(expression, now_ms))
            for kind, expression in self.expressions.items()
            for tenant_id in self._tenants_of(kind)
        ]

    def in_time(self, slot: Slot, now_ms: int) -> bool:
        """Whether it is not too late for a slot, nor too early."""
        return now_ms - self.max_queue_age_s * 1000 <= slot.at_ms <= now_ms + _AHEAD_MS

    def event(self, slot: Slot) -> bytes:
        """The request of a slot's job, as every other publisher writes it."""
        issued_s = slot.at_ms // 1000
        claims: dict[str, Any] = {
            "sub": SUBJECT,
            "iss": SOURCE,
            "aud": SOURCE,
            "iat": issued_s,
            "exp": issued_s + _VALID_S,
        }
        within = claims
        *outer, last = self.tenant_claim.split(".")
        for name in outer:
            within = within.setdefault(name, {})
        within[last] = slot.tenant_id
        job_id = slot.job.key.job_id
        return orjson.dumps(
            {
                "specversion": "1.0",
                "id": job_id,
                "source": SOURCE,
                "type": JobRequested.TYPE,
                "subject": job_id,
                "time": iso(slot.at_ms * 1000),
                "datacontenttype": "application/json",
                "data": {
                    "job_id": job_id,
                    "kind": slot.kind,
                    "parameters": {},
                    "claims": claims,
                },
            }
        )

    def admit(self, event: JobRequested, now_ms: int) -> JobRequest:
        """The job of an event that says that it is of the schedule.

        No token vouches for it. None is needed: what is admitted is a job that the settings ask for
        at that very moment, under the one id that it has, so that whoever may add entries to the
        stream can bring about nothing that would not have come about anyhow, and nothing twice.

        Raises:
            Refused: with ``unauthenticated``: there is no such slot.
        """
        tenant_id = tenant_of(all_claims(event.data.claims), self.tenant_claim)
        at_ms = 0 if event.time is None else to_us(event.time) // 1000
        slot = Slot(event.data.kind, tenant_id, at_ms)
        if (
            event.data.parameters
            or event.data.job_id != slot.job.key.job_id
            or not self.in_time(slot, now_ms)
            or slot not in self.latest(at_ms)
        ):
            raise Refused(
                RejectionCode.UNAUTHENTICATED,
                "source is that of the schedule, which has no such job at that time: set the "
                "SCHEDULE_ variables alike on all workers, or give the source and token of whoever "
                "asks",
                "source",
            )
        return slot.job

    def _tenants_of(self, kind: str) -> Sequence[str]:
        return self.tenants[:1] if kind in _OF_ALL_TENANTS else self.tenants
