"""How many streams each worker reads."""


def share(streams: int, workers: int, rank: int) -> int:
    """Return the number of streams for the worker of a rank; the shares add up to all streams.

    Shares differ by one at most, and lower ranks have the larger ones. With one stream, only the
    worker of rank 0 reads.

    Args:
        streams: number of streams, 0 or more.
        workers: number of live workers, 1 or more.
        rank: of this worker by age; the oldest has 0.
    """
    each, rest = divmod(streams, workers)
    return each + (rank < rest)
