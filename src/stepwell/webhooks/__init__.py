"""Webhooks: who is told, at an address, of what instances do."""
