"""Random keys for a server that was started without an environment, kept in its data directory."""

from __future__ import annotations

import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path


def read_or_create(path: Path, length: int = 50) -> str:
    """Return the text of `path`; when it does not exist, first write a random key of `length` bytes to it, readable by us alone.

    Two processes that start together agree: the file appears whole or not at all, and the first one wins.
    """
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(urlsafe_b64encode(secrets.token_bytes(length)).decode() + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        return path.read_text().strip()
    finally:
        draft.unlink()
    return path.read_text().strip()
