"""`mastery rejected`: list, show, redrive and purge dead letters."""
