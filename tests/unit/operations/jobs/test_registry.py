"""The registry of job kinds: a kind needs its name in the contract and its module, no more."""

from typing import get_args

import pytest
from pydantic import ValidationError

from contracts.jobs import JobKind
from workers.config.settings import Settings
from workers.operations.jobs.kinds.registry import KINDS, parameters_of
from workers.reference.channels import CHANNELS


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_given_a_kind_when_looked_up_then_it_runs_without_any_parameter(kind: JobKind) -> None:
    assert callable(KINDS[kind].run)
    assert isinstance(parameters_of(kind, {}), KINDS[kind].parameters)


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_given_a_kind_when_scheduled_then_its_setting_is_taken(kind: JobKind) -> None:
    settings = Settings.model_validate({f"schedule_{kind}": "30 3 * * 0"})
    assert settings.schedules == {kind: "30 3 * * 0"}


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_given_a_kind_when_its_cron_is_wrong_then_the_setting_is_refused(kind: JobKind) -> None:
    with pytest.raises(ValidationError, match="cron"):
        Settings.model_validate({f"schedule_{kind}": "every night"})


def test_given_the_kinds_when_documented_then_each_is_named() -> None:
    assert all(f"`{kind}`" in CHANNELS["jobs"].description for kind in get_args(JobKind))


def test_given_kinds_then_only_calibration_concerns_all_tenants() -> None:
    assert [kind for kind in KINDS if KINDS[kind].of_all_tenants] == ["calibrate"]
