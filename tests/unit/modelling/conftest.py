"""Spend less on the default recipe in daily use."""

import pytest

from tests.support.examples import THOROUGH
from tests.support.fits import share_parts


@pytest.fixture
def few_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-fit the last step over two parts in place of eight, except under CI.

    Each part costs another fit of ability and mastery.
    """
    if not THOROUGH:
        monkeypatch.setattr("workers.modelling.calibration.combined.fit._MOST_PARTS", 2)


@pytest.fixture
def shared_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit mastery and ability of the same answers once for all recipes."""
    share_parts(monkeypatch)
