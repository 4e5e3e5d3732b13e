"""Judge one entry of the jobs stream: admit the request, or refuse it with a reason."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import from_json

from contracts.jobs import JobRequested
from contracts.primitives import Uuid
from contracts.rejections import RejectionCode
from contracts.streams import EVENT_FIELD
from workers.admission.decoding import Decoder
from workers.common.errors import Refused
from workers.identity.claims import Authenticator, Identity, tenant_of
from workers.operations.jobs.kinds.kind import Parameters
from workers.operations.jobs.kinds.registry import parameters_of
from workers.operations.jobs.record import JobKey, JobRequest
from workers.operations.jobs.schedule import SOURCE as SCHEDULED
from workers.operations.jobs.schedule import Schedule
from workers.streams.batch import RawEntry
from workers.streams.entry_ids import entered_ms

UUID: Final[TypeAdapter[str]] = TypeAdapter(Uuid)

_FIELD: Final = EVENT_FIELD.encode()


class AdmittedJob(NamedTuple):
    """A job that may be run."""

    request: JobRequest
    parameters: Parameters
    correlation_id: str | None


def require_job_role(identity: Identity, roles: Collection[str]) -> None:
    """Raise unless the identity may ask for jobs of its tenant.

    Raises:
        Refused: with ``forbidden``.
    """
    if identity.role not in roles:
        raise Refused(
            RejectionCode.FORBIDDEN,
            "the token's role may not ask for jobs: use the token of a role in JOB_ROLES",
            "data.claims.role",
        )


@dataclass(frozen=True, slots=True)
class JobAdmission:
    """Decodes, authenticates and authorises one request at a time.

    Args:
        authenticator: establishes who asks.
        roles: the roles that may ask.
        tenant_claim: dotted path of the claim that names the tenant.
        max_event_bytes: largest entry, in bytes of all its fields.
        max_token_bytes: largest token, in bytes.
        max_queue_age_s: a request that waited for longer is refused, seconds.
        schedule: the jobs that the settings ask for; None: no schedule.
    """

    authenticator: Authenticator
    roles: Collection[str]
    tenant_claim: str
    max_event_bytes: int
    max_token_bytes: int
    max_queue_age_s: int
    schedule: Schedule | None = None
    _decoder: Decoder[JobRequested] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        decoder = Decoder(
            JobRequested, self.max_event_bytes, self.max_token_bytes, "ask for one job per event"
        )
        object.__setattr__(self, "_decoder", decoder)

    def judge(self, entry: RawEntry, now_ms: int) -> AdmittedJob:
        """Return the request of an entry.

        Args:
            entry: the entry.
            now_ms: the time by Redis's clock, milliseconds since 1970.

        Raises:
            Refused: the entry goes to the rejections.
            KeyUnknown: a key set newer than the entry has to decide.
        """
        event = self._decoder.decode(entry)
        # Redis gives out ids in the future long after its clock was ahead for a moment.
        entered_at_s = min(entered_ms(entry.first_id), now_ms) / 1000
        # Publishers may choose an id in the future; the wait must not begin there.
        since_ms = min(entry.entered_ms, now_ms)
        if now_ms - since_ms > self.max_queue_age_s * 1000:
            raise Refused(
                RejectionCode.UNAUTHENTICATED,
                f"the entry waited for longer than MAX_QUEUE_AGE_S={self.max_queue_age_s}: ask "
                "for the job again",
            )
        if self.schedule is not None and event.source == SCHEDULED:
            asked = self.schedule.admit(event, now_ms)
            return AdmittedJob(asked, parameters_of(event.data.kind, {}), event.correlationid)
        identity = self.authenticator.authenticate(
            event.data, entered_at_s, since_ms, now_ms / 1000
        )
        require_job_role(identity, self.roles)
        data = event.data
        try:
            parameters = parameters_of(data.kind, data.parameters)
        except ValueError as error:
            raise Refused(RejectionCode.INVALID, f"data.{error}", "data.parameters") from None
        return AdmittedJob(
            JobRequest(
                JobKey(identity.tenant_id, data.job_id),
                data.kind,
                data.parameters,
                identity.subject,
            ),
            parameters,
            event.correlationid,
        )

    def key_of(self, entry: RawEntry) -> JobKey | None:
        """Return the job that an entry names, verified or not; None if it names none."""
        try:
            data = from_json(entry.fields[_FIELD])["data"]
            tenant_id = tenant_of(data["claims"], self.tenant_claim)
            return JobKey(tenant_id, UUID.validate_python(data["job_id"]))
        except (LookupError, TypeError, AttributeError, ValueError, Refused):
            return None
