"""Measurements of Postgres itself: partitions, and what updates leave behind."""
