"""Run `mastery worker` with the database requests of an earlier version.

It takes the command's own arguments. Its requests leave out the keys that later versions added
(rates, erasures, active parameters). A schema that supports workers of the previous version
answers them.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from workers.cli.entry import main
from workers.engine import recorder
from workers.engine.learner_cache import LearnerCache
from workers.estimation.parameters import Parameters
from workers.ledger.exchange import MOST_ANSWERS, Commit, Touched
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.sql import commit, load, recording
from workers.ledger.sql.documents import Document
from workers.operations.repair.background_replay import Replayer
from workers.publishing.outbox_relay import OutboxRelay


def _touched(*fields: Any) -> Touched:
    return Touched(*fields[:3])


def _commit(folded: Any, entries: Sequence[str], *_: Any) -> Commit:
    return Commit(folded, list(entries))


def _load_request(touched: Sequence[Touched], most_answers: int = MOST_ANSWERS) -> Document:
    request = _load_request_now(touched, most_answers)
    del request["active"], request["most_answers"]
    return request


def _unknown(self: LearnerCache, *_: Any, **__: Any) -> None:  # noqa: ARG001  # in place of a method
    return None


_load_request_now = load.load_request


async def _none(self: OutboxRelay | Replayer) -> int:  # noqa: ARG001  # in place of a method
    return 0


async def _do_nothing(self: OutboxRelay | Replayer) -> None:  # noqa: ARG001  # in place of a method
    await asyncio.Event().wait()


async def _built_in(self: ParametersSource) -> Parameters:
    return self.active


if __name__ == "__main__":
    # Earlier versions did not count the rate of responses.
    vars(recorder).update(Touched=_touched, Commit=_commit)
    # Earlier versions kept no states.
    LearnerCache.loaded = _unknown  # type: ignore[method-assign]  # there was none
    # Earlier versions had no active parameters.
    vars(recording).update(load_request=_load_request)
    vars(commit).update(load_request=_load_request)
    OutboxRelay.publish = _none  # type: ignore[method-assign]  # there was none
    OutboxRelay.run = _do_nothing  # type: ignore[method-assign]  # there was none
    Replayer.replay = _none  # type: ignore[method-assign]  # there was none
    Replayer.run = _do_nothing  # type: ignore[method-assign]  # there was none
    ParametersSource.refresh = _built_in  # type: ignore[method-assign]  # there were no others
    sys.argv = ["mastery", *sys.argv[1:]]
    main()
