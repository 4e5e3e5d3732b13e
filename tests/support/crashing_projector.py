"""Run `mastery worker` and kill it between the graph's commit and the acknowledgement.

It takes the command's own arguments. `CRASH_AFTER` is the number of batches with an unlocked
concept that it merges into the graph and acknowledges before the kill.
"""

import os
import signal
import sys
from collections.abc import Sequence

from contracts.mastery import MasteryChanged
from workers.cli.entry import main
from workers.graph.projector import Projector
from workers.graph.unlocking import Unlocked

_project = Projector.project
_left = int(os.environ.get("CRASH_AFTER", "0"))


async def _defective(
    self: Projector, events: Sequence[MasteryChanged], entries: Sequence[str] = ()
) -> list[Unlocked]:
    global _left  # noqa: PLW0603  # a process has one projector
    unlocked = await _project(self, events, entries)
    if unlocked:
        if not _left:
            os.kill(os.getpid(), signal.SIGKILL)
        _left -= 1
    return unlocked


if __name__ == "__main__":
    Projector.project = _defective  # type: ignore[method-assign]  # that is the defect
    sys.argv = ["mastery", *sys.argv[1:]]
    main()
