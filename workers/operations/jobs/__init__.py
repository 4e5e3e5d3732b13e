"""Jobs: long pieces of work, asked for over the stream, HTTP or a schedule."""
