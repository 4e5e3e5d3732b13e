"""Versions of the parameters: list, show, activate, import and export."""
