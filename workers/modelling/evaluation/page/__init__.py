"""HTML page of `mastery evaluate FILE`."""
