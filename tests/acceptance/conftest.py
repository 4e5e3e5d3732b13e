"""Clients of other languages and a browser for acceptance tests."""

from pathlib import Path

import pytest

from tests.support.servers import server_variables


@pytest.fixture
def node_modules() -> Path:
    """The installed packages of `tests/acceptance/node`, where the scripts that use them live."""
    (folder,) = server_variables("TEST_NODE_MODULES")
    return Path(folder)


@pytest.fixture
def chromium() -> Path:
    """The executable of a Chromium."""
    (executable,) = server_variables("TEST_CHROMIUM")
    return Path(executable)
