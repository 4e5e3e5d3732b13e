"""Concept maps: read from a file, checked, written to the ledger and from there into the graph."""
