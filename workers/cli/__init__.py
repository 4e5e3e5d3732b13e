"""The `mastery` command line."""
