"""SQLite and PostgreSQL, empty and migrated."""
