"""How large a request may be, and how many there may be."""
