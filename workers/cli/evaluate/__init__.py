"""Evaluate predictions, of models on a CSV or of the ledger."""
