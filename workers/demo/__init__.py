"""The demonstration: a simulated class with known truth, and a report that opens anywhere."""
