"""Detect drift of predictions while they are made, in bounded memory."""
