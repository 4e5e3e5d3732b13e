"""The ability part of a recipe: the filter, its items and their fit."""
