"""`mastery dev`: everything on one laptop, with demo students and an issuer of tokens."""
