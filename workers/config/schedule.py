"""Settings of scheduled jobs: one cron expression for each kind of job."""

from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import Field, create_model, field_validator
from pydantic_settings import BaseSettings

from contracts.jobs import JobKind
from workers.common.cron import check
from workers.config.http import Names, names

_CRON: Final = "five fields of cron in UTC, such as `30 3 * * 0`; unset: never"
_BY_KIND: Final = {f"schedule_{kind}": kind for kind in get_args(JobKind)}

if TYPE_CHECKING:
    _KindSettings = BaseSettings
else:
    _KindSettings = create_model(
        "_KindSettings",
        __base__=BaseSettings,
        **{
            name: (str | None, Field(None, description=f"when to {kind}: {_CRON}"))
            for name, kind in _BY_KIND.items()
        },
    )


class ScheduleSettings(_KindSettings):
    """Times and tenants of scheduled jobs; a mixin of `Settings`.

    Each kind of `contracts.jobs.JobKind` has a setting, such as ``SCHEDULE_VERIFY``.
    """

    schedule_tenants: Names = Field(
        ("default",),
        description="tenants of the scheduled jobs; calibration covers all tenants and runs for "
        "the first of these",
    )

    @field_validator("schedule_tenants", mode="before")
    @classmethod
    def _split_tenants(cls, value: Any) -> Any:
        return names(value)

    @field_validator(*_BY_KIND)
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        if value is not None:
            check(value)
        return value

    @property
    def schedules(self) -> dict[str, str]:
        """Map each scheduled kind of job to its cron expression."""
        given = {kind: getattr(self, name) for name, kind in _BY_KIND.items()}
        return {kind: expression for kind, expression in given.items() if expression is not None}
