"""The ledger on Postgres, over a direct connection or PostgREST."""
