"""Run a calibration: read the log, fit in processes, keep stages, store a version."""
