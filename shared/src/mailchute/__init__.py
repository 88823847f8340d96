"""What two rooms or more speak. A room imports this package; this package imports no room."""
