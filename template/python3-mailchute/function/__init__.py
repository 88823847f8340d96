"""The folder that a function's own is laid over."""
