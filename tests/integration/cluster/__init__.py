"""The engine on a Redis Cluster of its own: three masters with a replica each."""
