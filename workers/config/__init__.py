"""Settings, and what production refuses."""
