"""Clients of other languages and a browser for acceptance tests."""

from pathlib import Path

import pytest

from tests.support.servers import server_variables
from tests.support.typescript_package import compiled_package


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


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A compiled copy of the npm package, one for all processes of this run."""
    (source,) = server_variables("TEST_TYPESCRIPT_PACKAGE")
    base = tmp_path_factory.getbasetemp()
    copy = (base if worker_id == "master" else base.parent) / "typescript"
    compiled_package(Path(source), copy)
    return copy
