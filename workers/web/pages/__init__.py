"""Pages for people: the front page, the operators' status and the practice page."""
