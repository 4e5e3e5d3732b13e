"""Claims decide who reports and for whom, at the time of the entry."""

import json
from typing import Any

import pytest

from contracts.rejections import RejectionCode
from tests.support.doubles import admission, raw
from tests.support.factories import ISSUER, MISSING, START_US, event_json
from workers.admission.verdicts import Admitted, Judged, Rejection
from workers.common.errors import Refused

START_S = START_US // 1_000_000


def judge(claim_changes: dict[str, Any], **settings: Any) -> Judged:
    return admission(**settings).judge(raw(event_json(claim_changes=claim_changes)))


def tenant_of(claim_changes: dict[str, Any], **settings: Any) -> str:
    verdict = judge(claim_changes, **settings)
    assert isinstance(verdict, Admitted), verdict
    return verdict.key.tenant_id


def unauthenticated(claim_changes: dict[str, Any], **settings: Any) -> Refused:
    verdict = judge(claim_changes, **settings)
    assert isinstance(verdict, Rejection), "it was admitted"
    assert verdict.refusal.code is RejectionCode.UNAUTHENTICATED
    assert verdict.refusal.field is not None
    assert verdict.refusal.field in verdict.refusal.reason
    return verdict.refusal


@pytest.mark.parametrize("claim", ["sub", "iss", "aud", "exp", "iat"])
@pytest.mark.parametrize("value", [MISSING, None, [], {}, False])
def test_given_a_claim_missing_or_malformed_then_it_is_named(claim: str, value: Any) -> None:
    assert unauthenticated({claim: value}).field == f"data.claims.{claim}"


@pytest.mark.parametrize("value", ["", "x" * 129, "a\x00b", 5])
def test_given_a_subject_that_is_no_id_then_it_is_refused(value: Any) -> None:
    assert unauthenticated({"sub": value}).field == "data.claims.sub"


@pytest.mark.parametrize("claims", [MISSING, None, [], "claims", 5])
def test_given_no_claims_then_it_is_unauthenticated(claims: Any) -> None:
    whole = json.loads(event_json())
    whole["data"]["claims"] = claims
    if claims is MISSING:
        del whole["data"]["claims"]
    verdict = admission().judge(raw(json.dumps(whole).encode()))
    assert isinstance(verdict, Rejection)
    assert verdict.refusal.code is RejectionCode.UNAUTHENTICATED
    assert verdict.refusal.field == "data.claims"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '"1795000000"', "true"])
def test_given_a_date_that_is_no_finite_number_then_it_is_refused(claim: str, value: str) -> None:
    text = event_json(claim_changes={claim: 4_242_424_242}).replace(b"4242424242", value.encode())
    verdict = admission().judge(raw(text))
    assert isinstance(verdict, Rejection)
    assert (verdict.refusal.code, verdict.refusal.field) == (
        RejectionCode.UNAUTHENTICATED,
        f"data.claims.{claim}",
    )


@pytest.mark.parametrize(
    ("claim", "after_s", "fine"),
    [
        ("exp", 1, True),
        ("exp", 0, True),
        ("exp", -59.999, True),
        ("exp", -60, False),
        ("exp", -1e9, False),
        ("nbf", -1, True),
        ("nbf", 60, True),
        ("nbf", 60.001, False),
        ("iat", 60, True),
        ("iat", 61, False),
        ("exp", 1e300, True),
    ],
)
def test_given_a_token_then_it_is_judged_by_entry_time_with_leeway(
    claim: str, after_s: float, fine: bool
) -> None:
    changes = {claim: START_S + after_s}
    if fine:
        assert isinstance(judge(changes), Admitted)
    else:
        assert unauthenticated(changes).field == f"data.claims.{claim}"


def test_given_an_entry_that_waited_days_then_its_token_counts_as_it_came() -> None:
    # The worker's own clock says nothing: the token expired long before this test runs, or after.
    assert isinstance(judge({"exp": START_S + 1}), Admitted)
    assert isinstance(judge({"iat": START_S, "nbf": START_S}), Admitted)


@pytest.mark.parametrize(
    ("audience", "fine"),
    [
        ("authenticated", True),
        (["other", "authenticated"], True),
        (["authenticated"], True),
        ("Authenticated", False),
        ("authenticated2", False),
        (["other"], False),
        ("anon", False),
    ],
)
def test_given_one_audience_or_several_then_ours_must_be_among_them(
    audience: Any, fine: bool
) -> None:
    if fine:
        assert isinstance(judge({"aud": audience}), Admitted)
    else:
        assert "authenticated" in unauthenticated({"aud": audience}).reason


@pytest.mark.parametrize("audience", [[""] * 65, [5], ["authenticated", None], ""])
def test_given_an_audience_of_another_shape_then_it_is_refused_by_its_name(
    audience: Any,
) -> None:
    assert unauthenticated({"aud": audience}).field == "data.claims.aud"


def test_given_an_issuer_is_set_then_no_other_counts() -> None:
    assert isinstance(judge({}, issuer=ISSUER), Admitted)
    refusal = unauthenticated({"iss": "https://evil.example"}, issuer=ISSUER)
    assert refusal.field == "data.claims.iss"
    assert ISSUER in refusal.reason
    assert isinstance(judge({"iss": "any"}), Admitted)


@pytest.mark.parametrize(
    ("path", "claims", "tenant"),
    [
        ("tenant_id", {"tenant_id": "t1"}, "t1"),
        ("tenant_id", {"tenant_id": MISSING}, "default"),
        ("tenant_id", {"tenant_id": None}, "default"),
        ("app_metadata.tenant", {"app_metadata": {"tenant": "t2"}}, "t2"),
        ("app_metadata.tenant", {"app_metadata": {}}, "default"),
        ("app_metadata.tenant", {"app_metadata": {"tenant": None}}, "default"),
        ("app_metadata.tenant", {"app_metadata": None}, "default"),
        ("app_metadata.tenant", {}, "default"),
        ("a.b.c", {"a": {"b": {"c": "t3"}}}, "t3"),
        ("a.b.c", {"a": {"b": {}}}, "default"),
        ("iss", {"iss": "t4"}, "t4"),
        # As row level security finds it: a path that ends before leads nowhere, and where it leads
        # nowhere Supabase's own place counts.
        ("app_metadata.tenant", {"app_metadata": "t"}, "default"),
        ("app_metadata.tenant", {"app_metadata": ["t"]}, "default"),
        ("a.b.c", {"a": {"b": 5}}, "default"),
        ("tenant_id", {"tenant_id": MISSING, "app_metadata": {"tenant_id": "t5"}}, "t5"),
        ("tenant_id", {"tenant_id": None, "app_metadata": {"tenant_id": "t5"}}, "t5"),
        ("tenant_id", {"tenant_id": "t6", "app_metadata": {"tenant_id": "t5"}}, "t6"),
        ("a.b", {"app_metadata": {"tenant_id": "t5"}}, "t5"),
        ("tenant_id", {"tenant_id": "x" * 128}, "x" * 128),
        ("tenant_id", {"tenant_id": "école 😀"}, "école 😀"),
    ],
)
def test_given_the_tenants_path_then_what_it_leads_to_is_the_tenant(
    path: str, claims: dict[str, Any], tenant: str
) -> None:
    assert tenant_of(claims, tenant_claim=path) == tenant


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("tenant_id", {"tenant_id": 7}),
        ("tenant_id", {"tenant_id": ""}),
        ("tenant_id", {"tenant_id": "x" * 129}),
        ("tenant_id", {"tenant_id": "a\x00b"}),
        ("tenant_id", {"tenant_id": "a\x9fb"}),
        ("tenant_id", {"tenant_id": ["t"]}),
        ("tenant_id", {"tenant_id": {"id": "t"}}),
        ("tenant_id", {"tenant_id": True}),
        ("tenant_id", {"tenant_id": False}),
        ("app_metadata.tenant", {"app_metadata": {"tenant": 5}}),
        ("aud", {"aud": ["authenticated"]}),
    ],
)
def test_given_a_tenant_that_is_no_string_then_it_is_unauthenticated(
    path: str, claims: dict[str, Any]
) -> None:
    assert unauthenticated(claims, tenant_claim=path).field == f"data.claims.{path}"


def test_given_a_tenant_in_the_response_then_it_does_not_count() -> None:
    verdict = admission().judge(raw(event_json(tenant_id="school-7")))
    assert isinstance(verdict, Admitted)
    whole = json.loads(event_json())
    whole["data"]["response"]["tenant_id"] = whole["tenant_id"] = "other"
    again = admission().judge(raw(json.dumps(whole).encode()))
    assert isinstance(again, Admitted)
    assert again.key == verdict.key


@pytest.mark.parametrize("role", ["authenticated", "anon", "", None, "Service_Role", MISSING])
def test_given_another_students_answer_then_it_is_forbidden(role: Any) -> None:
    verdict = judge({"sub": "teacher-1", "role": role})
    assert isinstance(verdict, Rejection)
    assert verdict.refusal.code is RejectionCode.FORBIDDEN
    assert verdict.refusal.field == "data.response.student_id"
    for part in ("student-42", "teacher-1", "token"):
        assert part in verdict.refusal.reason


def test_given_a_delegated_role_then_it_reports_for_students_of_its_tenant() -> None:
    assert tenant_of({"sub": "gateway", "role": "service_role", "tenant_id": "t9"}) == "t9"


@pytest.mark.parametrize("role", [5, ["service_role"], {}, True])
def test_given_a_role_that_is_no_string_then_it_is_unauthenticated(role: Any) -> None:
    assert unauthenticated({"role": role}).field == "data.claims.role"


def test_given_the_subject_differs_in_case_then_it_is_another_student() -> None:
    verdict = judge({"sub": "Student-42"})
    assert isinstance(verdict, Rejection)
    assert verdict.refusal.code is RejectionCode.FORBIDDEN
