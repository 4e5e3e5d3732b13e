"""Values that the command line repeats are those of the engine."""

from typing import get_args

import pytest

from contracts import rejections
from workers.app import worker
from workers.cli import choices
from workers.identity.claims import tenant_of
from workers.modelling.calibration import fitting
from workers.modelling.calibration_run import request


@pytest.mark.parametrize(
    ("repeated", "original"),
    [
        (list(choices.Role), list(worker.Role)),
        (list(choices.RejectionCode), list(rejections.RejectionCode)),
        (choices.MODELS, tuple(fitting.MODELS)),
        (set(choices.PARTIAL_CREDIT_MODELS), fitting.IN_STEPS),
        (choices.DEFAULT_MODEL, request.DEFAULT_MODEL),
        (get_args(choices.Activate), get_args(request.Activate)),
    ],
)
def test_given_a_choice_when_compared_then_the_engine_has_the_same(
    repeated: object, original: object
) -> None:
    assert repeated == original


def test_given_claims_without_a_tenant_when_read_then_it_is_the_default() -> None:
    assert tenant_of({}, "tenant_id") == choices.DEFAULT_TENANT
