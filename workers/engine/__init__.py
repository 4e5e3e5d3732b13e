"""Process one batch of responses: admit, load, fold, commit, publish."""
