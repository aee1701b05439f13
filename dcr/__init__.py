"""Dynamic client registration (RFC 7591, RFC 7592). Empty until its issue; see README.md for what works today."""
