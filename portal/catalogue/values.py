"""What can be wrong with the other values of a registration, and what a reviewer looks at, by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from portal.catalogue.entries import Texts

VALUES: Final[Texts] = {
    "value.type": (
        _("The value has another type than the specification says."),
        _("Compare it with the description: text, number, true or false, or an array."),
    ),
    "value.choice": (
        _("The value is none of those that this server offers."),
        _("Use one of those the answer lists; the reference has all of them."),
    ),
    "value.not_offered": (
        _("The value asks for a feature that this server does not have. It is refused rather than stored in silence."),
        _("Leave the member out."),
    ),
    "value.blank": (_("The value is only white space."), _("Leave the member out, or give it a value.")),
    "value.too_long": (_("The value is longer than it may be."), _("Shorten it.")),
    "value.too_many": (_("The list has more entries than it may have."), _("Remove what you do not use.")),
    "value.control": (_("There is a character in the text that cannot be shown."), _("Type the text again instead of pasting it.")),
    "request_uris.not_offered": (_("This server fetches no request objects."), _("Push authorization requests instead (RFC 9126).")),
    "form": (_("The field is missing or cannot be read."), _("The sentence beside the field says what is expected.")),
    "refused": (_("The value is fine by itself, but not now or not for you."), _("The sentence beside the field says why.")),
}
NAMES: Final[Texts] = {
    "client_name.missing": (_("The app has no name."), _("Give it the name that people know it by.")),
    "name.missing": (_("The organization has no name."), _("Give its legal name.")),
    "name.invisible": (_("The name holds characters that nobody sees, or that turn the direction of text."), _("Type the name again.")),
    "name.long": (_("The name is cut on small screens."), _("Keep it below 80 characters.")),
    "name.mixed_scripts": (
        _("The name mixes alphabets, as names do that imitate others."),
        _("Use one alphabet; otherwise a reviewer decides."),
    ),
    "name.look_alike": (_("The name uses letters that look like others."), _("Use plain letters; otherwise a reviewer decides.")),
    "contacts.email": (_("A contact is a plain e-mail address."), _("Write it without mailto: and without a name.")),
    "contacts.kind": (_("There is no such kind of contact."), _("Use one of those the answer lists.")),
    "country.code": (_("The country is no code of ISO 3166-1."), _("Use two letters, such as NO.")),
    "email_domains.domain": (_("This is no domain name."), _("Write it as in example.org, without @ and www.")),
    "url.other_host": (
        _("The page is on another host than the redirect URIs, so people cannot tell that it is yours."),
        _("Use a page on your own host."),
    ),
    "language.tag": (_("What follows # is no language tag."), _("Write it as in client_name#de.")),
    "language.twice": (_("The same language is given twice in different spelling."), _("Keep one of them.")),
    "language.too_many": (_("There are more languages than are kept."), _("Keep those your users read.")),
}
GRANTS: Final[Texts] = {
    "grant_types.empty": (
        _("An app without a grant can do nothing."),
        _("Use authorization_code for people, client_credentials for machines."),
    ),
    "grant_types.response_types": (
        _("grant_types and response_types contradict each other."),
        _("code goes with authorization_code. Leave response_types out, and it follows."),
    ),
    "grant_types.refresh": (_("refresh_token alone never gets a first token."), _("Add authorization_code.")),
    "grant_types.public": (
        _("Without authentication everybody could act as this app."),
        _("Authenticate with private_key_jwt or a secret, or leave out client_credentials."),
    ),
    "auth_signing_alg.method": (
        _("The app names an algorithm for assertions but does not sign any."),
        _("Set token_endpoint_auth_method to private_key_jwt, or leave the algorithm out."),
    ),
    "policy.grant_types.not_allowed": (
        _("The policy does not allow this grant."),
        _("Use one of those the reference lists, or ask our staff."),
    ),
    "policy.token_endpoint_auth_method.not_allowed": (
        _("The policy does not allow this authentication in this stage."),
        _("private_key_jwt is allowed most widely."),
    ),
    "policy.token_endpoint_auth_signing_alg.not_allowed": (
        _("The policy does not allow this signature algorithm."),
        _("ES256 works everywhere."),
    ),
    "policy.request_object_signing_alg.not_allowed": (
        _("The policy does not allow this signature algorithm."),
        _("ES256 works everywhere."),
    ),
    "policy.id_token_signed_response_alg.not_allowed": (
        _("ID tokens are not signed with this algorithm here."),
        _("Use one of id_token_signing_alg_values_supported."),
    ),
    "policy.id_token_signed_response_alg.replaced": (
        _("You named no algorithm, and the standard's default is not used here."),
        _("Verify ID tokens with the algorithm in the answer."),
    ),
    "policy.require_pushed_authorization_requests.forced": (
        _("Every app pushes its authorization requests here."),
        _("Send requests to the pushed authorization request endpoint first."),
    ),
    "policy.require_signed_request_object.forced": (
        _("Every app signs its authorization requests here."),
        _("Send the parameters as a signed request object."),
    ),
    "policy.require_signed_request_object.keys": (
        _("Every app signs its authorization requests here, and this one has no keys."),
        _("Register jwks or jwks_uri."),
    ),
    "sector.type": (_("The document behind sector_identifier_uri is no list of addresses."), _("Serve a JSON array of strings.")),
    "sector.missing": (_("A redirect URI is not in the document behind sector_identifier_uri."), _("Add it there first.")),
    "client.idle": (_("The app got no token for longer than the policy allows."), _("Use it, or close it.")),
}
SCOPES: Final[Texts] = {
    "scope.characters": (
        _("A scope is printable ASCII without quotation mark and backslash, and spaces stand between scopes."),
        _("Send one string, such as openid profile."),
    ),
    "scope.sensitive": (_("The scope opens data that our staff gives out by hand."), _("Say in the request what you need it for.")),
    "policy.scope.unknown": (_("This server has no such scope; it was left out."), _("The list of scopes has all there are.")),
    "policy.scope.not_allowed": (
        _("This registration may not have the scope; it was left out."),
        _("Ask whoever gave you the token, or our staff."),
    ),
    "policy.scope.default": (_("You asked for no scope that there is, so the default was given."), _("Ask for the scopes that you need.")),
}
FETCHING: Final[Texts] = {
    "remote.unusable": (
        _("A document at an address of yours cannot be fetched or read."),
        _("Serve it on a public https host, without redirects, within five seconds."),
    ),
    "jwks_uri.unreachable": (
        _("The key address did not answer for more than a day. The last copy of the keys ends."),
        _("Make the address answer, then check keys on the page of the app."),
    ),
    "jwks_uri.failing": (_("The last fetch from the key address failed."), _("Check keys on the page of the app: it says what is wrong.")),
}
REVIEW: Final[Texts] = {
    "change.widens": (_("The change lets the app do more than before."), _("Say in the request why.")),
    "org.no_domains": (
        _("The organization gave neither a website nor e-mail domains to compare with."),
        _("Add them to the organization."),
    ),
    "org.owner_elsewhere": (
        _("An owner's address is outside the domains of the organization."),
        _("Use an address of the organization, or add the domain."),
    ),
    "org.contact_elsewhere": (
        _("A contact's address is outside the domains of the organization."),
        _("Use an address of the organization, or add the domain."),
    ),
    "org.twin_registration_number": (
        _("Another organization has the same registration number."),
        _("Ask a colleague there to invite you."),
    ),
    "org.twin_legal_name": (_("Another organization has the same name."), _("Ask a colleague there to invite you.")),
    "org.twin_website": (_("Another organization has the same website."), _("Ask a colleague there to invite you.")),
    "trust.stale": (
        _("The trust chain could not be confirmed lately; the last copy still counts."),
        _("The page of its trust says which step failed."),
    ),
    "trust.suspect": (
        _("Somebody answers that the entity is no member any more; it is being checked again."),
        _("The page of its trust says which step failed."),
    ),
    "trust.broken": (_("The trust chain does not hold."), _("The page of its trust says which step failed and who can mend it.")),
}
TOKENS: Final[Texts] = {
    "token.label": (_("The label is missing or too long."), _("Name what registers with the token.")),
    "token.uses": (_("The number of uses is outside the limits."), _("Choose as few as you need.")),
    "token.expires": (_("The end is in the past or too far ahead."), _("Choose an end within the limit.")),
    "token.stage": (_("You may not make tokens for this stage."), _("Make one for test apps; our staff makes those for live ones.")),
    "token.restriction": (
        _("The token would restrict something that cannot be restricted."),
        _("Choose among the values that the form offers."),
    ),
    "token.scope": (_("The token names a scope that cannot be given."), _("Choose scopes of the list.")),
    "token.limit": (_("The organization has as many tokens as it may have."), _("Revoke one that you do not use.")),
    "token.network": (_("This is no network address."), _("Write an address or a range such as 192.0.2.0/24.")),
}
