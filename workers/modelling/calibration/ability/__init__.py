"""Fit the ability part of a recipe: items, offsets and their walk."""
