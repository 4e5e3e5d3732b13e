"""One reader for each responses stream: leases, and who takes which."""
