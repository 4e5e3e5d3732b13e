"""Fitting parameters to responses, pure: arrays in, parameters and diagnostics out."""
