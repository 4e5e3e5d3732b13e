"""The way out: acknowledge and publish in one step."""
