"""Admission: from a raw entry to admitted, rejected or deferred, and the reason in words."""
