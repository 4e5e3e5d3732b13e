"""Settings of the HTTP side: what is taken, and what is said of the rest."""

from pathlib import Path

import pytest

from workers.common.errors import SettingsError
from workers.config.loading import load_settings


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://app.example", ("https://app.example",)),
        ("https://APP.example:443 , http://localhost:3000,", ("https://app.example", "http://localhost:3000")),
        ("http://[::1]:80", ("http://[::1]",)),
        ("*", ("*",)),
        ("", ()),
    ],
)  # fmt: skip
def test_given_origins_when_loaded_then_they_are_as_browsers_send_them(
    monkeypatch: pytest.MonkeyPatch, given: str, taken: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", given)
    assert load_settings().cors_allowed_origins == taken


@pytest.mark.parametrize(
    "given",
    [
        "app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example?x",
        "https://*.example",
        "https://user@app.example",
        "ftp://app.example",
        "https://",
        "https://app.example:port",
        "https://[app",
        "null",
    ],
)
def test_given_no_origin_when_loaded_then_it_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", f"https://good.example,{given}")
    with pytest.raises(SettingsError, match=r"CORS_ALLOWED_ORIGINS holds .*such as https") as why:
        load_settings()
    assert repr(given) in str(why.value)


@pytest.mark.parametrize("name", ["HTTP_SUBJECT_LIMIT", "HTTP_ADDRESS_LIMIT"])
def test_given_a_rate_when_loaded_then_only_a_number_per_unit_is_one(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, " 5 / second ")
    assert getattr(load_settings(), name.lower()) == "5/second"
    for wrong in ("0/minute", "5", "5 per minute", "five/minute", "-1/day", "1.5/hour", "5/year"):
        monkeypatch.setenv(name, wrong)
        with pytest.raises(SettingsError, match="such as 120/minute"):
            load_settings()


def test_given_proxies_when_loaded_then_only_addresses_and_networks_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_TRUSTED_PROXIES", "10.0.0.0/8,::1")
    assert load_settings().http_trusted_proxies == ("10.0.0.0/8", "::1/128")
    monkeypatch.setenv("HTTP_TRUSTED_PROXIES", "*")
    with pytest.raises(SettingsError, match="HTTP_TRUSTED_PROXIES holds '\\*'"):
        load_settings()


def test_given_production_when_any_page_may_call_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", "*")
    with pytest.raises(SettingsError, match=r"CORS_ALLOWED_ORIGINS is \*.*list the origins"):
        load_settings(environment="production")
