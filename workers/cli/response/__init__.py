"""Corrections of recorded responses."""
