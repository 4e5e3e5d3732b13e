"""`mastery response`: correct and withdraw responses."""
