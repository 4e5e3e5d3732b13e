"""Lag of the responses stream: measured in bursts, and simulated."""
