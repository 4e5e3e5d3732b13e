"""Demonstration: a simulated class with known true knowledge, and a self-contained report."""
