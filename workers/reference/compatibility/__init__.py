"""Find changes of the event schemas that would break publishers or subscribers."""
