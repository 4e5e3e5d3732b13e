"""Dead letters: list and show refused events, send them again, delete them."""
