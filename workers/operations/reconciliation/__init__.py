"""Reconciliation: repair the graph from the ledger, publish current values again."""
