"""Publishing responses: files of past answers, the events they become, and their way to Redis."""
