"""Limits on the size and the number of requests."""
