"""What can be wrong with redirect URIs and other addresses, by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from portal.catalogue.entries import Texts

ADDRESSES: Final[Texts] = {
    "empty": (_("There is no address."), _("Write the whole address, with its scheme.")),
    "too_long": (_("The address is longer than 2,048 characters."), _("Keep what varies out of it; state belongs in the parameter state.")),
    "whitespace": (_("There is white space in the address."), _("Remove it, or write %20 where it belongs to the path.")),
    "control": (_("There is a character that nobody sees in the address."), _("Type the address again instead of pasting it.")),
    "backslash": (_("Browsers and servers read a backslash differently."), _("Use slashes.")),
    "non_ascii": (_("An address is plain ASCII."), _("Write the host with xn-- labels and percent-encode the rest.")),
    "character": (_("RFC 3986 does not allow a character where it stands."), _("Percent-encode it.")),
    "percent": (_("Two hexadecimal digits follow every percent sign."), _("Write %25 for the sign itself.")),
    "scheme": (
        _("The scheme is not one that this app may use here."),
        _("Web apps and all published addresses use https. A private-use scheme is for apps of type native."),
    ),
    "authority": (_("The address has no host."), _("Write two slashes and the host after the scheme.")),
    "userinfo": (_("A name or password stands before the host, where it hides who is meant."), _("Remove everything up to the @.")),
    "host": (_("The host is not a host name."), _("Use letters, digits, hyphens and dots.")),
    "host_percent": (_("The host is percent-encoded, which programs read differently."), _("Write the plain name.")),
    "trailing_dot": (_("The host ends with a dot, which makes it another address for some programs."), _("Remove the dot.")),
    "single_label": (_("The host has no dot, so only your own network can find it."), _("Use a name that everybody can resolve.")),
    "zone": (_("The IPv6 address names a zone, which means something on one machine only."), _("Leave the zone out.")),
    "ip_form": (_("The host looks like a number in another notation."), _("Write four plain decimal numbers, or better a name.")),
    "ip_literal": (_("The host is an IP address where a name is needed."), _("Use a host name.")),
    "port": (_("The port is no number from 1 to 65535."), _("Correct or remove it.")),
    "port_refused": (_("A port is not allowed in this address."), _("Serve it on the usual port.")),
    "query": (
        _("A query is fixed text: the request must carry exactly the same one."),
        _("Put what varies into state, and leave the query out."),
    ),
    "fragment": (_("What follows # never reaches a server."), _("Remove the # and what follows it.")),
    "dot_segment": (_("The path holds . or .. and can be read as another one."), _("Write the path that it leads to.")),
}

REDIRECTS: Final[Texts] = {
    "redirect_uris.missing": (
        _("An app that people sign in with needs an address to send them back to."),
        _("Register at least one redirect URI."),
    ),
    "redirect_uri.type": (_("A redirect URI is text."), _("Send an array of strings.")),
    "redirect_uri.forbidden_scheme": (_("This scheme runs code, reads files or leads elsewhere."), _("Use https.")),
    "redirect_uri.wildcard": (
        _("Redirect URIs are compared exactly, so that nobody can steer a code to a page you forgot."),
        _("List each address. Test apps of a build can be registered by the API, one per build."),
    ),
    "redirect_uri.http": (
        _("On http, anybody on the way reads the code."),
        _("Use https; test and native apps may use http on 127.0.0.1 or [::1]."),
    ),
    "redirect_uri.localhost": (_("The name localhost can be made to lead elsewhere."), _("Use 127.0.0.1 or [::1].")),
    "redirect_uri.loopback": (_("The address leads to the visitor's own computer, which a web app cannot mean."), _("Use a public host.")),
    "redirect_uri.https_loopback": (_("Nobody gives out certificates for loopback addresses."), _("Use http with 127.0.0.1 or [::1].")),
    "redirect_uri.private_use": (
        _("A private-use scheme without a dot may belong to another app."),
        _("Use your domain reversed, such as com.example.app:/callback."),
    ),
    "redirect_uri.ip_host": (_("The host is an IP address, which changes hands unseen."), _("Use a name with a certificate.")),
    "redirect_uri.internationalized": (
        _("The host is an internationalized name, which can look like another one."),
        _("Compare its spelling with the one you mean."),
    ),
    "redirect_uri.look_alike": (_("The host mixes letters that look alike."), _("Check the spelling; a reviewer will look at it.")),
    "redirect_uri.no_path": (_("https://host and https://host/ are two different redirect URIs."), _("Send the one that you registered.")),
    "redirect_uri.slash_twin": (
        _("The same address is registered with and without a slash at the end."),
        _("Keep the one that your app sends."),
    ),
    "redirect_uri.repeated": (_("The same address stands in the list twice."), _("Keep one of them.")),
    "redirect_uri.lowered": (_("Scheme and host were written in lower case, as every program compares them."), _("Nothing to do.")),
    "redirect_uri.elsewhere": (
        _("The host is outside the domains of the organization."),
        _("Add the domain to the organization, or explain in the request whose host it is."),
    ),
    "policy.redirect_uris.limit": (
        _("The app has more redirect URIs than the policy allows."),
        _("Remove those you do not use; the limit stands in the reference."),
    ),
}
ANSWER_PARAMETERS: Final = ("code", "error", "error_description", "error_uri", "iss", "state")
ANSWERS: Final[Texts] = {
    name: (_("This server adds the parameter itself; given twice, nobody knows which one counts."), _("Remove it from the query."))
    for name in ANSWER_PARAMETERS
}
REDIRECT_HOSTS: Final[Texts] = {
    "redirect_uris.host": (
        _("This registration may use some hosts only."),
        _("Use one of the hosts that the answer names, or ask for another token."),
    )
}
