"""Jobs: long pieces of work that somebody whose role may asks for."""
