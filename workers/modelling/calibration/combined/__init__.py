"""The recipes `bkt-irt` and `irt`: ability, mastery and the last step over both."""
