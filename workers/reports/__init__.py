"""Shared parts of the HTML reports: page, figures, SVG and number formats."""
