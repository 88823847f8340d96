"""The REST API: everything an account may ask of its mail, and change about where it goes."""
