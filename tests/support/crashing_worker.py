"""Run `mastery worker` with a defect: certain items end the process at once, as a crash does.

It takes the command's own arguments.
"""

import os
import signal
import sys

from workers.admission.admission import Admission
from workers.admission.verdicts import Judged
from workers.cli.entry import main
from workers.streams.batch import RawEntry

_judge = Admission.judge


def _defective(self: Admission, entry: RawEntry, *known: int | None) -> Judged:
    if b'"crash"' in entry.fields.get(b"event", b""):
        os.kill(os.getpid(), signal.SIGKILL)
    return _judge(self, entry, *known)


if __name__ == "__main__":
    Admission.judge = _defective  # type: ignore[assignment, method-assign]  # that is the defect
    sys.argv = ["mastery", *sys.argv[1:]]
    main()
