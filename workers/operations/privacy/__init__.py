"""A learner's rights over their data: export and erasure."""
