"""The registry: users, organizations, clients, credentials, policy, lifecycle, gate, entitlements, audit, this server's keys."""
