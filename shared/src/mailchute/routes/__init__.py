"""The routes file: read, and every mistake in it told with its line."""
