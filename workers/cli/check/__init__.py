"""`mastery check`: settings, servers and keys, one probe each."""
