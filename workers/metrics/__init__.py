"""Measure the worker: counters, gauges, health and drift."""
