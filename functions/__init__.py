"""The functions: each folder is one HTTP transformer, a typed value in, a typed value out."""
