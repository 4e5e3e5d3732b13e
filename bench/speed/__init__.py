"""Drive workers, and what they are compared with, in turns in one run."""
