"""The ledger over its SQL functions, on any transport."""

from typing_extensions import override

from workers.estimation.learner import LearnerKey
from workers.ledger.protocol import Ledger
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.calibration import SqlCalibration
from workers.ledger.sql.concept_map import SqlConceptMap
from workers.ledger.sql.current import SqlCurrent
from workers.ledger.sql.outbox import SqlOutbox
from workers.ledger.sql.parameters import SqlParameters
from workers.ledger.sql.predictions import SqlPredictions
from workers.ledger.sql.privacy import SqlPrivacy
from workers.ledger.sql.recording import SqlRecording
from workers.ledger.sql.repair import SqlRepair


class SqlLedger(
    SqlRecording,
    SqlCurrent,
    SqlRepair,
    SqlOutbox,
    SqlPrivacy,
    SqlParameters,
    SqlCalibration,
    SqlConceptMap,
    SqlPredictions,
    Ledger,
):
    """The whole ledger; a transport adds `_call` and `close`."""

    @override
    async def ping(self) -> None:
        # A write: a server that can only be read is of no use.
        await self.forget_erasures(0)
        # A function of the newest schema; it finds no row.
        await self.values(LearnerKey("", ""), limit=1)

    @override
    async def count(self) -> int:
        answer = await self._call("mastery_holders", {"count": True})
        with as_promised("mastery_holders"):
            return int(answer[0])
