"""Settings, and the defaults that production refuses."""
