"""`mastery evaluate`."""
