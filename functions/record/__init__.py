"""Makes the database agree with the journal."""
