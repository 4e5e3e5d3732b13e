"""The public language of the engine: the events that cross its border, and nothing else.

This package imports nothing of ``workers``. Publishers and subscribers in Python may depend on it
alone; those in TypeScript use the npm package in ``contracts/typescript``; all others use the JSON
Schemas in ``contracts/schemas``.
"""

from contracts.envelope import CloudEvent
from contracts.jobs import JobRequested
from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode, ResponseRejected
from contracts.responses import ResponseRecorded
from contracts.unlocked import ConceptUnlocked

__all__ = [
    "CloudEvent",
    "ConceptUnlocked",
    "JobRequested",
    "MasteryChanged",
    "RejectionCode",
    "ResponseRecorded",
    "ResponseRejected",
]
