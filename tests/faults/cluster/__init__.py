"""Fault runs on a Redis Cluster: failovers, frozen nodes and moving slots under load."""
