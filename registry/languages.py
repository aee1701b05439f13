"""The language that a person reads these pages and their mails in."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from protocol.errors import TransitionRefused
from registry.models import User

BROWSERS_CHOICE: Final = ""


def choose_language(user: User, language: str) -> User:
    """Note the language that `user` chose, BROWSERS_CHOICE for what the browser asks for; return the user.

    Raises TransitionRefused with reason language for one that this server does not have.
    """
    if language != BROWSERS_CHOICE and language not in dict(settings.LANGUAGES):
        raise TransitionRefused("language", "This server does not have that language. Choose one of the list.")
    if user.language != language:
        user.language = language
        user.save(update_fields=["language"])
    return user
