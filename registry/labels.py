"""Labels of choices outside of lists and forms: within sentences, and where they must not follow the language of whoever asks."""

from __future__ import annotations

from django.utils.translation import get_language, override


def in_english(words: object) -> str:
    """Return `words`, a translated label or an object that is called by one, in English: for what is stored, and sentences of services."""
    with override("en"):
        return str(words)


def within_sentence(label: object) -> str:
    """Return `label` in the active language as it stands within a sentence: in English small, in other languages as it is."""
    return str(label).lower() if (get_language() or "en").startswith("en") else str(label)
