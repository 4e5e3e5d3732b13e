"""Groups of tests that run in one process, one after the other (``--dist=loadgroup``)."""

from typing import Final

import pytest

_EXCLUSIVE: Final = {
    "supabase": "supabase", "postgrest": "supabase", "supabase_project": "supabase",
    "neo4j": "neo4j",
}  # fmt: skip
"""The server of which there is one, by the fixtures and parameters that reserve it."""


def group_of(item: pytest.Item) -> str | None:
    """Return the group of a test, or None if any process may run it at any time.

    Tests that reserve the same server would only wait for each other in several processes. Tests
    that share a fixture of their module would set it up in each process.
    """
    call = getattr(item, "callspec", None)
    parameters = [] if call is None else [p for p in call.params.values() if isinstance(p, str)]
    for name in [*getattr(item, "fixturenames", ()), *parameters]:
        if name in _EXCLUSIVE:
            return _EXCLUSIVE[name]
    fixtures = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    if any(found[-1].scope == "module" for found in fixtures.values()):
        return item.nodeid.partition("::")[0]
    return None
