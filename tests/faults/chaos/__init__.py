"""A long run of many faults, in an order that a seed decides."""
