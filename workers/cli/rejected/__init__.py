"""Dead letters: list, show, redrive and purge."""
