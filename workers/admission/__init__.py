"""The way in: raw entries, admission, consumer groups and what dead workers left."""
