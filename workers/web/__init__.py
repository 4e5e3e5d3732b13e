"""The HTTP side: health, metrics, documents, jobs and sockets."""
