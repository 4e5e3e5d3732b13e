"""Verify tokens with the issuer's keys, rotate the keys, and read identities from claims."""
