"""The call of an SQL function, which each transport makes in its own way."""

from abc import ABC, abstractmethod
from typing import Any

from workers.ledger.sql.documents import Document


class SqlFunctions(ABC):
    """Calls the ledger's SQL functions."""

    @abstractmethod
    async def _call(self, function: str, document: Document) -> Any:
        """Call a function with a document and return its answer.

        Raises:
            LedgerUnavailable: the database does not answer.
            LedgerRefused: the database refuses the call.
            Unstorable: the database can't store what the document has.
        """
