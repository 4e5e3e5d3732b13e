"""Publish and subscribe in Python, over redis-py: typed, with redis and pydantic alone.

`contracts.client.asyncio` has the same names for redis-py's asyncio client.
"""

from contracts.client.building import Answer, Job, job_requested, response_recorded
from contracts.client.confirmation import Confirmation, NotConfirmedError
from contracts.client.delivery import Delivery, Failure, UnreadableEventError, Verdict
from contracts.client.following import PositionLostError
from contracts.client.newest import newest_only
from contracts.client.publisher import Publisher
from contracts.client.publishing import Published
from contracts.client.routing import stream_name, stream_names, tenant_of
from contracts.client.subscriber import follow, positions, subscribe
from contracts.streams import shard_of

__all__ = [
    "Answer",
    "Confirmation",
    "Delivery",
    "Failure",
    "Job",
    "NotConfirmedError",
    "PositionLostError",
    "Published",
    "Publisher",
    "UnreadableEventError",
    "Verdict",
    "follow",
    "job_requested",
    "newest_only",
    "positions",
    "response_recorded",
    "shard_of",
    "stream_name",
    "stream_names",
    "subscribe",
    "tenant_of",
]
