"""The README's first screen, its publish example, and the claims beside it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from pydantic import ValidationError

from contracts.claims import Claims
from contracts.responses import ResponseRecorded
from tests.support.fences import code_blocks
from tests.support.page_commands import shell_commands
from workers.identity.claims import TrustedClaims

_README: Final = Path(__file__).parents[3] / "README.md"
_AT_S: Final = 1_795_000_000.0
_VALUES: Final[dict[str, Any]] = {
    "randomUUID()": str(uuid4()),
    "new Date().toISOString()": datetime.fromtimestamp(_AT_S, UTC).isoformat(),
    "req.id": "req-7f3a",
    "req.auth.sub": "student-42",
    "req.token": "a.b.c",
    "answer.id": str(uuid4()),
    "answer.at": datetime.fromtimestamp(_AT_S, UTC).isoformat(),
}
"""Values of the expressions in the example."""
_CLAIMS: Final[dict[str, Any]] = {
    "sub": "student-42",
    "iss": "https://project.example/auth/v1",
    "aud": "authenticated",
    "exp": _AT_S + 3600,
    "iat": _AT_S,
}


def _example(claims: dict[str, Any]) -> str:
    """Return the event of the publish example as JSON."""
    (block,) = code_blocks(_README, "js", heading="Publish a response")
    text = block[block.index("stringify(") + len("stringify(") : block.rindex("))")]
    text = re.sub(r"\s//.*", "", text)
    text = re.sub(r"^(\s*)(\w+):", r'\1"\2":', text, flags=re.MULTILINE)
    for expression, value in {**_VALUES, "req.auth": claims}.items():
        text = text.replace(f": {expression},", f": {json.dumps(value)},")
    return re.sub(r",(\s*[}\]])", r"\1", text)


def _claims_of_the_table(need: str) -> set[str]:
    table = _README.read_text("utf-8").partition("\n## Publish a response\n")[2]
    return set(re.findall(rf"^\| `(\w+)` \| {need} \|", table, re.MULTILINE))


def test_given_the_first_screen_then_it_shows_what_a_reader_decides_by() -> None:
    screen = _README.read_text("utf-8").partition("\n## ")[0]

    assert len(screen.splitlines()) <= 50
    for part in ("docs/images/practice.png", "**Install**", "**Why trust it**", "**Read on**"):
        assert part in screen
    assert shell_commands(_README)[:2] == ["uv run mastery demo", "uv run pytest"]


def test_given_the_publish_example_then_its_event_is_accepted() -> None:
    event = ResponseRecorded.model_validate_json(_example(_CLAIMS))

    rules = TrustedClaims(issuer=None, audience="authenticated", tenant_claim="tenant_id")
    assert rules.authenticate(event.data, _AT_S).tenant_id == "default"
    assert event.data.response.student_id == event.data.claims.sub


@pytest.mark.parametrize("claim", sorted(_CLAIMS))
def test_given_the_example_without_a_required_claim_then_it_is_refused(claim: str) -> None:
    with pytest.raises(ValidationError, match=claim):
        ResponseRecorded.model_validate_json(
            _example({name: value for name, value in _CLAIMS.items() if name != claim})
        )


def test_given_the_claims_of_the_contract_then_the_readme_lists_them() -> None:
    fields = Claims.model_fields.items()

    assert _claims_of_the_table("required") == {n for n, field in fields if field.is_required()}
    assert _claims_of_the_table("optional") == {"tenant_id", "role"}
