"""What the control plane writes and lists. Only record, api, expire and cli import it."""
