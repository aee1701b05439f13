"""What the environment says, in the types that the settings need; a bad value stops the start with a sentence that names it."""

from __future__ import annotations

from typing import Final

import environ
from django.core.exceptions import ImproperlyConfigured

env: Final = environ.Env()


def whole_number(name: str, default: int, low: int, high: int) -> int:
    """Return the environment's `name` as a number between `low` and `high`, or stop the start."""
    text = env.str(name, default=str(default))
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise ImproperlyConfigured(f"{name} must be a whole number from {low} to {high}, not {text!r}.")
    return int(text)


def switch(name: str) -> bool:
    """Return the environment's `name` as on or off, off when it is not there, or stop the start."""
    text = env.str(name, default="off").lower()
    if text not in ("on", "off", "true", "false", "yes", "no", "1", "0"):
        raise ImproperlyConfigured(f"{name} must be on or off, not {text!r}.")
    return text in ("on", "true", "yes", "1")
