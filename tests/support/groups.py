"""Groups of tests that run in one process, one after the other (``--dist=loadgroup``).

Processes collect the tests, and know their groups; the controller of pytest-xdist hands tests out
and knows nothing but their ids. So the processes write the groups to a file. The scheduler of
pytest-xdist 3.8 reads groups from changed ids, which pytest 9.2 does not allow any more
(pytest-xdist issue 1386).
"""

import json
import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

_EXCLUSIVE: Final = {
    "supabase": "supabase", "postgrest": "supabase", "neo4j": "neo4j",
}  # fmt: skip
"""The server of which there is one, by the fixtures and parameters that reserve it."""
_FILE: Final = "file_of_groups"


def group_of(item: pytest.Item) -> str | None:
    """Return the group of a test, or None if any process may run it at any time.

    Tests that reserve the same server would only wait for each other in several processes. Tests
    that share a fixture of their module would set it up in each process. The mark `xdist_group`
    names any other group.
    """
    mark = item.get_closest_marker("xdist_group")
    if mark is not None:
        return str(mark.args[0])
    call = getattr(item, "callspec", None)
    parameters = [] if call is None else [p for p in call.params.values() if isinstance(p, str)]
    for name in [*getattr(item, "fixturenames", ()), *parameters]:
        if name in _EXCLUSIVE:
            return _EXCLUSIVE[name]
    fixtures = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    if any(found[-1].scope == "module" for found in fixtures.values()):
        return item.nodeid.partition("::")[0]
    return None


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hand out whole groups, the largest first, and then the other tests one by one."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._file = config.stash[_PATH]

    @cached_property
    def _groups(self) -> dict[str, str]:
        groups: dict[str, str] = json.loads(self._file.read_text(encoding="utf-8"))
        shutil.rmtree(self._file.parent)
        return groups

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)


_PATH = pytest.StashKey[Path]()


class GroupsPlugin:
    """Hooks of the controller and of its processes."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process where to write its groups."""
        if _PATH not in node.config.stash:
            folder = Path(tempfile.mkdtemp(prefix="mastery-groups-"))
            node.config.stash[_PATH] = folder / "groups.json"
        node.workerinput[_FILE] = str(node.config.stash[_PATH])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Take this scheduler for ``--dist=loadgroup``, and none of ours for other ways."""
        return GroupScheduling(config, log) if config.getoption("dist") == "loadgroup" else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the groups of all tests; each process writes the same."""
        if (path := getattr(session.config, "workerinput", {}).get(_FILE)) is None:
            return
        groups = {item.nodeid: group_of(item) for item in session.items}
        own = f"{path}.{os.getpid()}"
        Path(own).write_text(
            json.dumps({test: group for test, group in groups.items() if group is not None}),
            encoding="utf-8",
        )
        Path(own).replace(path)
