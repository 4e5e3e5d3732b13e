"""The whole system of record."""

from typing import Protocol

from workers.ledger.calibration import CalibrationLedger
from workers.ledger.concept_map import ConceptLedger
from workers.ledger.current import CurrentLedger
from workers.ledger.outbox import OutboxLedger
from workers.ledger.parameters import ParametersLedger
from workers.ledger.predictions import PredictionsLedger
from workers.ledger.privacy import PrivacyLedger
from workers.ledger.recording import RecordingLedger
from workers.ledger.repair import CorrectionLedger


class Ledger(
    RecordingLedger,
    CurrentLedger,
    CorrectionLedger,
    OutboxLedger,
    PrivacyLedger,
    ParametersLedger,
    CalibrationLedger,
    ConceptLedger,
    PredictionsLedger,
    Protocol,
):
    """Everything the system of record can do; all adapters answer alike.

    A class takes the narrowest of these protocols; whoever opens a ledger has this one. Every
    method raises `LedgerUnavailable` or `LedgerRefused`.
    """

    async def count(self) -> int:
        """Count all learners."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
