"""Whether predictions come true: measured while they are made, in bounded memory."""
