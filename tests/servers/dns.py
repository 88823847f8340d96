"""A DNS server whose zone is a dict."""
