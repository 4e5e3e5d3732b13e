"""The nearest peer's consumer with a receiver that does nothing.

Usage: ``PYTHON bench/speed/peer.py``, with a Python that has edx-event-bus-redis; it imports
nothing of ours. It sends one event to the stream `seed`, whose copies may then be added to `peer`.
"""

import os

import django  # type: ignore[import-not-found]  # the peer's own Python has it
from django.conf import settings  # type: ignore[import-not-found]

settings.configure(
    INSTALLED_APPS=["openedx_events", "edx_event_bus_redis"],
    EVENT_BUS_REDIS_CONNECTION_URL=os.environ["REDIS_URL"],
    EVENT_BUS_REDIS_CONSUMER_POLL_TIMEOUT=1,
    SERVICE_VARIANT="bench",
    DATABASES={},
    USE_TZ=True,
)
django.setup()

from edx_event_bus_redis.internal.consumer import RedisEventConsumer  # type: ignore[import-not-found]  # noqa: E402
from edx_event_bus_redis.internal.producer import create_producer  # type: ignore[import-not-found]  # noqa: E402
from openedx_events.learning.data import UserData, UserPersonalData  # type: ignore[import-not-found]  # noqa: E402
from openedx_events.learning.signals import SESSION_LOGIN_COMPLETED  # type: ignore[import-not-found]  # noqa: E402


def nothing(**_: object) -> None:
    """Do nothing."""


SESSION_LOGIN_COMPLETED.connect(nothing)
user = UserData(
    pii=UserPersonalData(username="student-1", email="student@school.example", name="Student"),
    id=1,
    is_active=True,
)
create_producer().send(
    signal=SESSION_LOGIN_COMPLETED,
    topic="seed",
    event_key_field="user.id",
    event_data={"user": user},
    event_metadata=SESSION_LOGIN_COMPLETED.generate_signal_metadata(),
)
RedisEventConsumer("peer", "peer", "1", check_backlog=True).consume_indefinitely()
