"""OpenID Federation 1.0. Empty until its issue; see README.md for what works today."""
