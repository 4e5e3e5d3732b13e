"""The order in which the entries of a failed batch are tried."""

from workers.admission.admission import Admission
from workers.admission.verdicts import Admitted
from workers.streams.batch import RawBatch, RawEntry


def in_learners_order(admission: Admission, batch: RawBatch) -> list[RawEntry]:
    """Sort entries by their learners' own order; entries that can't be judged come first."""

    def position(entry: RawEntry) -> tuple[int, str]:
        try:
            judged = admission.judge(entry, batch.now_ms)
        except Exception:  # noqa: BLE001  # logged and counted when the entry is tried
            return (0, "")
        return judged.response.position if isinstance(judged, Admitted) else (0, "")

    return sorted(batch, key=position)
