"""Fit the recipe `bkt-irt`: the last step over mastery and ability."""
