"""Redis Cluster: the client, FastStream's broker on it, and where its streams lie."""
