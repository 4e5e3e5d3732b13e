"""Knowledge tracing, pure: numpy in, numpy out, no I/O and no clock."""
