"""Calibration on a Dask cluster."""
