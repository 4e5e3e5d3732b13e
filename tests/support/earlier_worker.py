"""`mastery worker` of the first version, in what it asks of the database: load, commit, learners.

It takes the command's own arguments. What later versions ask for besides is taken out of it, so
that it runs on the first schema, and on any later one that lets workers of the version before go
on.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from workers.cli.entry import main
from workers.engine import recorder
from workers.estimation.parameters import Parameters
from workers.ledger.exchange import Commit, Touched
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.sql import ledger as contract
from workers.ledger.sql import load_and_commit as documents
from workers.ledger.sql.ledger import SqlLedger
from workers.operations.repair.background_replay import Replayer
from workers.publishing.outbox_relay import Teller


async def _ping(self: SqlLedger) -> None:
    await self.learners(limit=1)


def _touched(*fields: Any) -> Touched:
    return Touched(*fields[:3])


def _commit(folded: Any, entries: Sequence[str], *_: Any) -> Commit:
    return Commit(folded, list(entries))


def _load_request(touched: Sequence[Touched]) -> documents.Document:
    request = _load_request_now(touched)
    del request["active"]
    return request


_load_request_now = documents.load_request


async def _none(self: Teller | Replayer) -> int:  # noqa: ARG001  # in place of a method
    return 0


async def _do_nothing(self: Teller | Replayer) -> None:  # noqa: ARG001  # in place of a method
    await asyncio.Event().wait()


async def _built_in(self: ParametersSource) -> Parameters:
    return self.present


if __name__ == "__main__":
    SqlLedger.ping = _ping  # type: ignore[method-assign]  # as it was
    # Nobody asked how responses came, and none were counted.
    vars(recorder).update(Touched=_touched, Commit=_commit)
    # Nobody knew of active versions.
    vars(contract).update(load_request=_load_request)
    vars(documents).update(load_request=_load_request)
    Teller.tell = _none  # type: ignore[method-assign]  # there was none
    Teller.run = _do_nothing  # type: ignore[method-assign]  # there was none
    Replayer.replay = _none  # type: ignore[method-assign]  # there was none
    Replayer.run = _do_nothing  # type: ignore[method-assign]  # there was none
    ParametersSource.refresh = _built_in  # type: ignore[method-assign]  # there were no others
    sys.argv = ["mastery", *sys.argv[1:]]
    main()
