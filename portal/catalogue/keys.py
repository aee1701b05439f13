"""What can be wrong with keys and the documents that hold them, by code behind `jwks.`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from portal.catalogue.entries import Texts

SETS: Final[Texts] = {
    "missing": (_("The app signs something, and we know none of its keys."), _("Give jwks_uri, or jwks with the public keys.")),
    "both": (_("jwks and jwks_uri are both given."), _("Keep jwks_uri: then you change keys without us.")),
    "algorithm": (_("No key fits the algorithm that the app signs with."), _("Add a key for it, or change the algorithm.")),
    "no_key_for_algorithm": (_("No key fits the algorithm that the app signs with."), _("Add a key for it, or change the algorithm.")),
    "no_usable_key": (_("None of the keys can be used here."), _("Add an RSA, EC or OKP key.")),
    "unusable": (_("None of the keys can be used."), _("Check the keys: each line says what is wrong with one.")),
    "private": (
        _("A private or secret key was given. It was not stored, but it has left your hands."),
        _("Treat it as leaked: make a new key, and publish only its public part."),
    ),
    "private_key": (
        _("A private or secret key was given. It was not stored, but it has left your hands."),
        _("Treat it as leaked: make a new key, and publish only its public part."),
    ),
    "not_set": (_("This is JSON but no key set."), _("Give an object with an array keys.")),
    "shape": (_("A key set is a JSON object with an array keys."), _('Wrap your keys as in {"keys": […]}.')),
    "single": (_("You gave one key; it was put into a key set."), _("Nothing to do.")),
    "single_key": (
        _("With one key only, replacing it interrupts your app."),
        _("Publish the next key beside it some days before you use it."),
    ),
    "shared": (
        _("An app of another organization has the same key."),
        _("Make keys of your own: a shared key lets others act as your app."),
    ),
    "rsa_short": (_("An RSA key is shorter than is recommended today."), _("Use 3072 bits or more, or an EC key on P-256.")),
    "too_many_keys": (_("The set holds more keys than are looked at."), _("Remove keys that you do not use.")),
    "kid_duplicate": (
        _("Two keys have the same kid, so nobody knows which one signed."),
        _("Give each key a name of its own, such as its thumbprint."),
    ),
    "kid_missing": (_("A key has no kid."), _("Give each key a kid, and put it into the header of what you sign.")),
    "key_reuse": (_("One key signs and encrypts."), _("Use two keys.")),
    "key_repeated": (_("The same key is in the set twice."), _("Remove one of them.")),
    "byte_order_mark": (_("The text begins with a byte order mark."), _("Save it as UTF-8 without one.")),
    "constant": (_("The text holds NaN or Infinity, which JSON does not have."), _("Write a number.")),
    "duplicate": (_("A name stands twice in one object."), _("Keep one of them.")),
    "encoding": (_("The text is not UTF-8."), _("Save it as UTF-8.")),
    "not_object": (_("The text is JSON but no object."), _("It begins with { and ends with }.")),
    "nul": (_("The text holds a NUL character."), _("Remove it.")),
    "number": (_("A number is too large."), _("Keys hold text and few numbers; check the document.")),
    "surrogate": (_("The text holds half a character."), _("Save it as UTF-8 again.")),
    "syntax": (_("The text is not JSON."), _("The sentence names line and column.")),
    "too_deep": (_("The document is nested too deeply."), _("A key set has three levels.")),
    "too_large": (_("The document is larger than 64 KB."), _("Remove keys that you do not use.")),
    "too_many_values": (_("The document holds more values than are read."), _("Remove keys that you do not use.")),
}
KEYS: Final[Texts] = {
    "kty": (_("A key has no type."), _("Give kty: RSA, EC or OKP.")),
    "kty_unknown": (_("A key has a type that is not used here, and is skipped."), _("Nothing to do if another key fits.")),
    "kid": (_("A kid is not short and printable."), _("Use up to 128 printable ASCII characters.")),
    "use": (_("use is neither sig nor enc, or does not fit."), _("Write sig on keys that sign.")),
    "use_missing": (_("A key does not say what it is for."), _("Add use: sig.")),
    "alg": (
        _("alg does not fit the key, or is no algorithm for public keys."),
        _("Write the algorithm that the key signs with, or leave alg out."),
    ),
    "alg_missing": (_("A key does not say which algorithm it is for."), _("Add alg, such as ES256.")),
    "alg_unknown": (_("alg names an algorithm that this server does not use."), _("Nothing to do if another key fits.")),
    "key_ops": (_("key_ops contradicts use or alg, or is malformed."), _("Leave key_ops out and keep use.")),
    "x5c": (_("The certificate cannot be read."), _("x5c holds certificates in base64 (DER), not in PEM.")),
    "x5c_mismatch": (_("The certificate is about another key."), _("Put the certificate of this very key first, or leave x5c out.")),
    "x5u_ignored": (_("This server never fetches certificates."), _("Leave x5u out.")),
    "certificate_expired": (_("The certificate beside a key is expired."), _("Publish a new key with its certificate.")),
    "certificate_expires": (_("The certificate beside a key ends within 30 days."), _("Publish the next key with its certificate now.")),
    "member_missing": (_("A key lacks a member that its type needs."), _("Export the key again.")),
    "base64url": (_("A member of a key is not base64url without padding."), _("Export the key again as JWK.")),
    "coordinate": (_("A coordinate has the wrong length."), _("Keep leading zeros: each coordinate has the size of the curve.")),
    "curve": (_("The curve is not used here."), _("Use P-256, P-384, P-521 or Ed25519.")),
    "point": (_("The key is not on its curve."), _("Export the key again.")),
    "rsa_size": (_("An RSA key is too short or too long."), _("Use 2048 to 4096 bits; 3072 is recommended.")),
    "rsa_exponent": (_("The exponent of an RSA key is refused."), _("Use 65537.")),
    "rsa_modulus": (_("The modulus of an RSA key is no product of two primes."), _("Make a new key.")),
}
