"""Verifying tokens: the issuer's keys, their rotation, and what a token proves."""
