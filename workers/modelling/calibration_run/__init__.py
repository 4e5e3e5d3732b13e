"""Calibrating: the log in pages, fits in processes, stages in the ledger, a version in the end."""
