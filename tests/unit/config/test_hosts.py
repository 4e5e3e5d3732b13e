"""URLs are shown without what they hide."""

import pytest

from workers.config.hosts import redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://worker:s3cr%40t@h:6379", "redis://worker:***@h:6379"),
        ("redis://:s3cret@h", "redis://:***@h"),
        ("unix:///run/redis.sock?password=s3cret&db=1", "unix:///run/redis.sock?password=***&db=1"),
        ("postgresql://u:s3cret@h/db?sslmode=require", "postgresql://u:***@h/db?sslmode=require"),
        ("postgresql://u@h/db?sslpassword=s3cret", "postgresql://u@h/db?sslpassword=***"),
        ("bolt+s://[::1]:7687", "bolt+s://[::1]:7687"),
    ],
)
def test_given_a_url_when_redacted_then_only_passwords_are_gone(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert "s3cr" not in redacted(url)
