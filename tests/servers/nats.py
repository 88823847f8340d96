"""A real nats-server with JetStream, sync_interval always."""
