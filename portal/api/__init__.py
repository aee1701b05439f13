"""The JSON API at /api/v1/: the services of the registry, for apps with a client credentials token (docs/api.md)."""
