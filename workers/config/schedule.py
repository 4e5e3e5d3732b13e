"""The settings of scheduled jobs."""

from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from workers.common.cron import check
from workers.config.http import Names, names

_CRON = "five fields of cron in UTC, such as `30 3 * * 0`; unset: never"


class ScheduleSettings(BaseSettings):
    """Times and tenants of scheduled jobs; a mixin of `Settings`."""

    schedule_calibrate: str | None = Field(None, description=f"when to calibrate: {_CRON}")
    schedule_rebuild: str | None = Field(None, description=f"when to rebuild: {_CRON}")
    schedule_verify: str | None = Field(None, description=f"when to verify: {_CRON}")
    schedule_reconcile: str | None = Field(None, description=f"when to reconcile: {_CRON}")
    schedule_tenants: Names = Field(
        ("default",),
        description="tenants whose scheduled jobs they are; calibration, which is about all "
        "tenants, is the first one's",
    )

    @field_validator("schedule_tenants", mode="before")
    @classmethod
    def _split_tenants(cls, value: Any) -> Any:
        return names(value)

    @field_validator(
        "schedule_calibrate", "schedule_rebuild", "schedule_verify", "schedule_reconcile"
    )
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        if value is not None:
            check(value)
        return value

    @property
    def schedules(self) -> dict[str, str]:
        """The cron expression of each scheduled kind of job."""
        given = {
            "calibrate": self.schedule_calibrate,
            "rebuild": self.schedule_rebuild,
            "verify": self.schedule_verify,
            "reconcile": self.schedule_reconcile,
        }
        return {kind: expression for kind, expression in given.items() if expression is not None}
