"""Repair of the graph from the ledger."""
