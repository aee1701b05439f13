"""OAuth and OpenID Connect endpoints on django-oauth-toolkit, and the token models."""
