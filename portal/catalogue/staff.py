"""What staff forms find, by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from portal.catalogue.entries import Group, group

if TYPE_CHECKING:
    from portal.catalogue.entries import Texts

_POLICY: Final[Texts] = {
    "policy.type": (_("A value of the policy has another type."), _("Use the type that the sentence names.")),
    "policy.unknown": (_("There is no such value in the policy."), _("Use one of those the sentence lists.")),
    "policy.limit": (_("A number is outside its limits."), _("Choose one within them.")),
    "policy.empty": (_("The list allows nothing, so nothing could be registered."), _("Choose at least one.")),
    "policy.choice": (_("A value is none of those that this server has."), _("Choose among those the sentence lists.")),
    "policy.place": (
        _("This is neither a host name nor a private-use scheme."),
        _("Write app.example.org, or org.example.app: with the colon."),
    ),
    "policy.scope": (_("The policy names a scope that nobody can ask for."), _("Add the scope first, or leave it out.")),
    "profile.name": (_("The name of a registration profile is malformed."), _("Use lower-case letters, digits and hyphens.")),
    "profile.description": (_("The description is too long."), _("Shorten it.")),
    "profile.duplicate": (_("There is a registration profile of this name."), _("Change that one, or choose another name.")),
    "profile.value": (_("A profile cannot narrow this value."), _("Leave it out.")),
    "profile.scope": (_("The profile names a scope that nobody can ask for."), _("Add the scope first, or leave it out.")),
}
_STATEMENTS: Final[Texts] = {
    "value": (_("A value is malformed."), _("The sentence says what is expected.")),
    "choice": (_("A value is none of those there are."), _("Choose among those the sentence lists.")),
    "name": (_("The name is missing or too long."), _("Give the name that staff know the publisher by.")),
    "issuer": (_("The issuer is not written as statements carry it."), _("Copy iss from a statement.")),
    "duplicate": (_("This issuer is known here already."), _("Change that one.")),
    "url": (_("The key address is no https address."), _("Give the address of the publisher's key set.")),
    "keys": (_("Either keys or a key address is needed, not both."), _("Prefer the key address.")),
    "algorithms": (_("The algorithms are missing, or no key fits them."), _("Choose those the publisher signs with.")),
    "age": (_("The longest age is outside its limits."), _("Choose one within them.")),
    "profile": (_("There is no such registration profile."), _("Add it first.")),
    "software": (_("The list of software is malformed."), _("Write one software_id per line.")),
    "organization": (_("The organization is missing or not approved."), _("Approve it first.")),
    "claim": (_("The name of the claim is malformed."), _("Use the claim that names the organization in a statement.")),
    "roles": (_("The roles are malformed."), _("Write one per line, with its scopes.")),
}
_MARKS: Final[Texts] = {
    "type": (_("The trust mark type is malformed."), _("Use the identifier that marks carry.")),
    "value": (_("A scope or grant is none of this server."), _("Choose among those there are.")),
    "entity": (_("This is no entity identifier."), _("Give an https address without query and fragment.")),
    "choice": (_("The rule gives nothing, or something unknown."), _("Choose at least one scope or grant.")),
    "duplicate": (_("There is a rule for this type and trust anchor."), _("Change that one.")),
}
_BANNERS: Final[Texts] = {
    "banner.text": (_("A banner needs a text."), _("Say in one sentence what happens and until when.")),
    "banner.tone": (_("There is no such tone."), _("Choose information or warning.")),
    "banner.times": (_("Nobody would ever read the banner."), _("Choose an end after the start and after now.")),
}

STAFF_GROUPS: Final[tuple[Group, ...]] = (
    group("staff-policy", _("For staff: policy and profiles"), _POLICY),
    group("staff-statements", _("For staff: issuers of software statements"), _STATEMENTS, prefixes=("statement_issuer.",)),
    group("staff-marks", _("For staff: trust mark rules"), _MARKS, prefixes=("trust_mark_rule.",)),
    group("staff-banners", _("For staff: banners"), _BANNERS),
)
