"""HTML page and JSON of `mastery evaluate --live`."""
