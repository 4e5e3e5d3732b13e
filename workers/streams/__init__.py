"""Redis Streams: read, claim, trim and retry entries."""
