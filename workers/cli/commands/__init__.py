"""Names, options and help of the commands; each imports its work only when it runs."""
