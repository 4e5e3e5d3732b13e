"""Fit prior, learn, guess and slip of BKT by marginal likelihood."""
