"""Verify and repair learners' states from their response logs."""
