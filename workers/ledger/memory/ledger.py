"""A ledger in memory, for tests and trials: it answers as the SQL functions do."""

from typing_extensions import override

from workers.ledger.memory.calibration import MemoryCalibration
from workers.ledger.memory.concept_map import MemoryConceptMap
from workers.ledger.memory.current import MemoryCurrent
from workers.ledger.memory.outbox import MemoryOutbox
from workers.ledger.memory.parameters import MemoryParameters
from workers.ledger.memory.predictions import MemoryPredictions
from workers.ledger.memory.privacy import MemoryPrivacy
from workers.ledger.memory.recording import MemoryRecording
from workers.ledger.memory.repair import MemoryRepair
from workers.ledger.protocol import Ledger


class MemoryLedger(
    MemoryRecording,
    MemoryCurrent,
    MemoryRepair,
    MemoryOutbox,
    MemoryPrivacy,
    MemoryParameters,
    MemoryCalibration,
    MemoryConceptMap,
    MemoryPredictions,
    Ledger,
):
    """The whole ledger in the memory of one process.

    Nothing interrupts a call, as nothing interrupts a transaction. It passes the tests of the
    contract (`tests/integration/ledger`) beside the adapters that it stands in for.
    """

    @override
    async def count(self) -> int:
        return len(self._accounts)

    @override
    async def close(self) -> None:
        pass
