"""Where a new group begins."""

from collections.abc import Mapping, Sequence
from typing import Literal


def starts(
    streams: Sequence[str], start_at: Literal["0", "$"] | Mapping[str, str]
) -> dict[str, str]:
    """Return the id after which a new group begins, by stream.

    Raises:
        ValueError: positions are given, but not of each stream.
    """
    if isinstance(start_at, str):
        return dict.fromkeys(streams, start_at)
    missing = [stream for stream in streams if stream not in start_at]
    if missing:
        raise ValueError(
            f"start_at lacks {', '.join(missing)}: give the positions of a snapshot taken under "
            "this number of shards"
        )
    return {stream: start_at[stream] for stream in streams}
