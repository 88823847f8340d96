"""The function parse: one mail, as octets, becomes the payload; see handler.py for the way through."""
