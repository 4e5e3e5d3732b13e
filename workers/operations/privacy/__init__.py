"""A learner's rights over their data: all that is held of them, and its erasure."""
