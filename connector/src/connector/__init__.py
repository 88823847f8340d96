"""
JetStream to HTTP and back: the only process that consumes and acknowledges.

What a function answers is published before what it was asked about is acknowledged; every message
id is derived, so that being killed anywhere costs at most a second POST.
"""
