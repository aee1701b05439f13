"""Letters that are taken for others: whether a text keeps to one script, and whether it imitates Latin (threats.md R07). Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

# Cyrillic and Greek letters that are drawn like Latin ones (Unicode confusables, the common ones).
_LATIN_TWINS: Final = frozenset("аеоорсухіјѕһӏԁԛԝԍүъАВЕЅІЈКМНОРСТУХԌԚԜҮαινορυκχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")
_SCRIPTS_TOGETHER: Final = ({"HAN", "HIRAGANA", "KATAKANA"}, {"HAN", "HANGUL"}, {"HAN", "BOPOMOFO"})


def imitates_latin(text: str) -> bool:
    """Say whether a reader could take all letters of `text` for Latin ones although they are not (threats.md R07).

    That is: styled letters that NFKC folds (fullwidth, mathematical), or a text of Cyrillic or Greek letters that all have a Latin twin.
    """
    letters = [character for character in text if character.isalpha()]
    if any(unicodedata.normalize("NFKC", character) != character for character in letters):
        return True
    return bool(letters) and _LATIN_TWINS.issuperset(letters)


def scripts_belong_together(text: str) -> bool:
    """Say whether the letters of `text` come from one script, or from scripts that one language writes together."""
    scripts = {unicodedata.name(character, "UNKNOWN").split()[0] for character in text if character.isalpha()}
    scripts = {"HAN" if script == "CJK" else script for script in scripts}
    return len(scripts) <= 1 or any(scripts <= together for together in _SCRIPTS_TOGETHER)


def is_deceptive_host(host: str) -> bool:
    """Say whether a label of `host`, in Unicode letters, mixes scripts or imitates Latin; one label at a time, as registries do."""
    return any(not scripts_belong_together(label) or (not label.isascii() and imitates_latin(label)) for label in host.split("."))
