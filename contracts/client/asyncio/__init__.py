"""The client for redis-py's asyncio client, with the names of `contracts.client`."""

from contracts.client.asyncio.newest import newest_only
from contracts.client.asyncio.publisher import Publisher
from contracts.client.asyncio.subscriber import follow, positions, subscribe
from contracts.client.building import Answer, Job, job_requested, response_recorded
from contracts.client.confirmation import Confirmation, NotConfirmedError
from contracts.client.delivery import Delivery, Failure, UnreadableEventError, Verdict
from contracts.client.following import PositionLostError
from contracts.client.publishing import Published
from contracts.client.routing import stream_name, stream_names, tenant_of
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
