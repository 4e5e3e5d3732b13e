"""The HTTP side: health, metrics and the AsyncAPI document with its viewer."""
