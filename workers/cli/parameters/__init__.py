"""`mastery parameters`: list, show and activate versions."""
