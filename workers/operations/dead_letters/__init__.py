"""Dead letters for people: looking at what was refused, sending it again, taking it away."""
