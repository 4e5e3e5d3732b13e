"""Work beside the flow: jobs, repair, privacy and dead letters."""
