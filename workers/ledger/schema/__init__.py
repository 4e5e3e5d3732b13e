"""The database's schema: its migrations, and the drafts made from its current definition."""
