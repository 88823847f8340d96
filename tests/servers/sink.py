"""A webhook receiver in a process of its own that journals every POST."""
