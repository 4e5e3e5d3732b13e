"""The composition root: build each role from settings and run it."""
