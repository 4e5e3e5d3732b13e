"""Concept maps: read a file, check it, write it to the ledger, and copy it to the graph."""
