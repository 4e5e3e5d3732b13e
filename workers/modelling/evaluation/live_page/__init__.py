"""The HTML page of `mastery evaluate --live`."""
