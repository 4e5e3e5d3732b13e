"""Acknowledge entries and publish their events in one step."""
