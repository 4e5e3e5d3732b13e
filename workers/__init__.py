"""The worker: from response events to mastery, exactly once."""
