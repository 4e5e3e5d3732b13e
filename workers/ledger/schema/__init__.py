"""The database schema: migrations and the embedded Postgres."""
