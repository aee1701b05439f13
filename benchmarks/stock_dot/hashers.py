"""A password hasher without slowness, for secrets that a server made: what stock django-oauth-toolkit can be told to use."""

from __future__ import annotations

import hashlib
import hmac

from django.contrib.auth.hashers import BasePasswordHasher


class OneRoundHasher(BasePasswordHasher):
    """One round of salted SHA-256."""

    algorithm = "one_round"

    def encode(self, password: str, salt: str) -> str:
        """Return the encoded digest."""
        return f"{self.algorithm}${salt}${hashlib.sha256(f'{salt}{password}'.encode()).hexdigest()}"

    def decode(self, encoded: str) -> dict[str, str]:
        """Return the parts of an encoded digest."""
        algorithm, salt, digest = encoded.split("$", 2)
        return {"algorithm": algorithm, "salt": salt, "hash": digest}

    def verify(self, password: str, encoded: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(encoded, self.encode(password, self.decode(encoded)["salt"]))

    def must_update(self, encoded: str) -> bool:  # noqa: ARG002 - Django's signature
        """Never; the secret would be hashed again on every request."""
        return False

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Do nothing: unknown names are not hidden by time here."""
