"""The kinds of jobs, one module each; `registry` collects them by name."""
