"""What can be wrong with a JWT and with a statement of a federation, by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from portal.catalogue.entries import Group, group

if TYPE_CHECKING:
    from portal.catalogue.entries import Texts

_TOKENS: Final[Texts] = {
    "jwt.alg": (_("The header names no algorithm, or one that needs a shared secret."), _("Sign with a key pair, such as with ES256.")),
    "jwt.crit": (_("The header demands to understand more than the standard."), _("Leave crit out.")),
    "jwt.header_key": (_("The header brings keys. Whoever wrote it chose them, so they prove nothing."), _("Name a published key by kid.")),
    "jwt.numeric_date": (_("A time is no number."), _("Write seconds since 1970, without quotes.")),
    "jwt.expired": (_("The token is over."), _("Get a new one.")),
    "jwt.alive": (_("The token can still be used by whoever sees it."), _("Treat it as leaked if you pasted it anywhere else.")),
    "jwt.endless": (_("The token does not say when it ends."), _("Add exp.")),
    "jwt.not_yet_valid": (_("The token counts later only, or comes from the future."), _("Check the clock of whoever issued it.")),
}
_STATEMENTS: Final[Texts] = {
    "fetch": (
        _("The entity configuration cannot be fetched."),
        _("Serve it over https, publicly, without redirects, with its own media type."),
    ),
    "shape": (_("This is no JWT."), _("It has three parts with dots between them.")),
    "too_long": (_("The statement is longer than is read."), _("Remove what nobody needs.")),
    "base64url": (_("A part is not base64url without padding."), _("Encode it again.")),
    "json": (_("A part holds no JSON that can be read."), _("Encode it again.")),
    "encrypted": (_("The token is encrypted."), _("Statements are signed and not encrypted.")),
    "typ": (_("The header has another typ."), _("Entity statements carry entity-statement+jwt.")),
    "alg": (_("The algorithm is not accepted."), _("Sign with one of those the reference lists.")),
    "crit": (_("The statement demands what this server does not understand."), _("Leave crit out.")),
    "header_forbidden": (_("The header holds a parameter that must not be there."), _("Remove it.")),
    "trust_chain": (_("The trust chain in the header cannot be read."), _("Leave it out, or send a fresh one.")),
    "kid": (_("The header names no key, or not as text."), _("Put the kid of the signing key into the header.")),
    "unknown_kid": (_("None of the published keys has the kid of the header."), _("Publish the key before you sign with it.")),
    "key_mismatch": (_("The key does not fit the algorithm of the header."), _("Sign with the algorithm of the key.")),
    "ambiguous_key": (_("Several keys would fit."), _("Put the kid into the header.")),
    "signature": (_("The signature does not verify."), _("Sign again with the published key.")),
    "verification_budget": (_("Too many signatures had to be checked."), _("Try again; name keys by kid.")),
    "own_keys": (_("The statement is not signed by a key in its own jwks."), _("Publish the key that signs.")),
    "anchor_keys": (_("The trust anchor's statement is not signed by a key that is pinned here."), _("Ask our staff to compare the keys.")),
    "private_key": (_("A private key is published. It is not shown here."), _("Treat it as leaked, and publish public parts only.")),
    "issuer": (_("The issuer is not who was asked."), _("iss is the entity identifier, written exactly so.")),
    "subject": (_("The statement is about somebody else."), _("sub is the entity identifier, written exactly so.")),
    "audience": (_("The statement is made for somebody else."), _("aud is our issuer.")),
    "identifier": (_("An entity identifier is malformed."), _("Use https, a host name, and neither query nor fragment.")),
    "claim_missing": (_("A claim is missing."), _("Add the claim that the sentence names.")),
    "claim_type": (_("A claim has another type than the specification says."), _("The sentence names it.")),
    "claim_mismatch": (_("Two values contradict each other."), _("The sentence names the claim.")),
    "claim_forbidden": (_("A claim is there that must not be there."), _("Remove the claim that the sentence names.")),
    "trust_mark_type": (_("A trust mark is listed under another type than it has."), _("Copy the type from the mark.")),
    "constraints": (_("The constraints are malformed."), _("Ask the operator of the federation.")),
    "numeric_date": (_("A time is no number."), _("Write seconds since 1970, without quotes.")),
    "lifetime": (_("It lives longer than it may."), _("Choose a nearer exp.")),
    "expired": (_("It is over."), _("Publish a new one before the old one ends.")),
    "not_yet_valid": (_("It counts later only."), _("Check the clock.")),
    "issued_in_future": (_("It comes from the future."), _("Check the clock.")),
    "endpoint": (_("An endpoint that a superior needs is missing or cannot be used."), _("Publish it as an https address.")),
    "ends_soon": (_("It ends within an hour."), _("Publish a new one well before.")),
    "single_key": (
        _("With one federation key only, replacing it breaks chains."),
        _("Publish the next key beside it, and tell your superior."),
    ),
    "no_superior": (_("It names no superior, so no chain can lead to it."), _("Name your immediate superiors in authority_hints.")),
    "no_app": (_("It has no metadata of an app."), _("Add openid_relying_party or oauth_client if it is one.")),
    "anchor": (_("It is a trust anchor that is accepted here."), _("Nothing to do.")),
    "pin": (_("It is a trust anchor that is accepted here, signed by a key that is not pinned."), _("Ask our staff to compare the keys.")),
}

STATEMENT_GROUPS: Final[tuple[Group, ...]] = (
    group("jwt", _("Any JWT"), _TOKENS),
    group("statement", _("Statements of a federation"), _STATEMENTS, prefixes=("statement.",)),
)
