"""The jobs that settings ask for: when they are due, and how their requests are recognised."""

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
from workers.operations.jobs.kinds.registry import KINDS
from workers.operations.jobs.record import JobKey, JobRequest

SOURCE: Final = "/mastery-engine/schedule"
"""The source of the events, and the issuer of their claims."""
SUBJECT: Final = "schedule"

_NAMESPACE: Final = UUID("6d617374-6572-4579-8000-7363686564ff")
_AHEAD_MS: Final = 60_000
_VALID_S: Final = 3_600


class Slot(NamedTuple):
    """A time at which a job is due."""

    kind: str
    tenant_id: str
    at_ms: int
    """Milliseconds since 1970."""

    @property
    def job(self) -> JobRequest:
        """The job of this slot; its id follows from the slot, so it is one job whoever asks."""
        name = f"{self.kind}/{self.at_ms}/{self.tenant_id}"
        key = JobKey(self.tenant_id, str(uuid5(_NAMESPACE, name)))
        return JobRequest(key, self.kind, {}, SUBJECT)


@dataclass(frozen=True)
class Schedule:
    """The times at which jobs are due, by Redis's clock.

    Args:
        expressions: cron expressions by kind of job (`workers.common.cron`).
        tenants: the tenants; a kind that concerns all tenants is asked for as the first one.
        tenant_claim: dotted path of the claim that names the tenant.
        max_queue_age_s: an older slot is not caught up, seconds.
    """

    expressions: Mapping[str, str]
    tenants: Sequence[str]
    tenant_claim: str
    max_queue_age_s: int

    def latest(self, now_ms: int) -> list[Slot]:
        """Return the latest slot of each kind and tenant."""
        return [
            Slot(kind, tenant_id, latest(expression, now_ms))
            for kind, expression in self.expressions.items()
            for tenant_id in self._tenants_of(kind)
        ]

    def in_time(self, slot: Slot, now_ms: int) -> bool:
        """Return True unless a slot is too old or lies in the future."""
        return now_ms - self.max_queue_age_s * 1000 <= slot.at_ms <= now_ms + _AHEAD_MS

    def event(self, slot: Slot) -> bytes:
        """Return the request of a slot's job, in the form that every publisher uses."""
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
        """Return the job of an event that names the schedule as its source.

        It needs no token: only a job that the settings ask for at that very time is admitted,
        under the one id that it has. A publisher can therefore cause nothing that would not happen
        anyway, and nothing twice.

        Raises:
            Refused: with ``unauthenticated``, if there is no such slot.
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
        return self.tenants[:1] if KINDS[kind].of_all_tenants else self.tenants
