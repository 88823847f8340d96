"""Takes away what has outlived its retention."""
