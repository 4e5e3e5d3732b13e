"""Offline work on models: calibrate parameters and evaluate predictions."""
