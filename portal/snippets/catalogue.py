"""Which snippets fit an app, in the order they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from authserver.endpoints import endpoint_url
from portal.snippets import curl, go, java, node, python
from portal.snippets.assertions import assertion_code
from portal.snippets.documents import discovery_address, entity_configuration, registration_document
from portal.snippets.facts import AppFacts
from registry.models import Client

_LANGUAGES: Final[tuple[tuple[str, Any, ModuleType], ...]] = (
    ("python", _("Python"), python),
    ("node", _("Node"), node),
    ("java", _("Java"), java),
    ("go", _("Go"), go),
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """One piece of text to copy; `id` is unique on the page."""

    id: str
    title: Any
    value: str


@dataclass(frozen=True, slots=True)
class Group:
    """The snippets of one language or purpose."""

    id: str
    title: Any
    snippets: tuple[Snippet, ...]
    text: Any = ""


def groups_for(client: Client, facts: AppFacts) -> list[Group]:
    """Return every snippet for an app."""
    start = [Snippet("discovery", _("Discovery document"), discovery_address())]
    groups = [
        Group("start", _("Start here"), tuple(start), _start_text(client)),
        Group("curl", _("curl"), tuple(_commands(facts))),
    ]
    if facts.method == "private_key_jwt":
        text = _("Where a snippet reads CLIENT_ASSERTION, put what this prints. Each is good for one request.")
        groups.append(
            Group("assertion", _("Sign a client assertion"), (Snippet("assertion-python", _("Python"), assertion_code(facts)),), text)
        )
    groups += [Group(name, title, tuple(_programs(name, title, module, facts))) for name, title, module in _LANGUAGES]
    return [*(group for group in groups if group.snippets), *_registering(client)]


def _start_text(client: Client) -> Any:
    if client.trust != Client.Trust.NONE:
        return _(
            "An entity of a federation signs or pushes its authorization requests: sign the parameters that a library would send plainly."
        )
    return _("Most libraries need no more than this address, your client ID and your credential. Use one that checks the ID token.")


def _commands(facts: AppFacts) -> list[Snippet]:
    commands = [Snippet("curl-discovery", _("Read the discovery document"), curl.discovery(facts))]
    if facts.acts_alone:
        commands.append(Snippet("curl-own-token", _("Get a token for the app itself"), curl.own_token(facts)))
    if facts.signs_in:
        commands.append(Snippet("curl-authorize", _("Make the address that signs a person in"), curl.authorization_address(facts)))
        commands.append(Snippet("curl-code", _("Exchange the code"), curl.code_exchange(facts)))
    if facts.refreshes:
        commands.append(Snippet("curl-refresh", _("Refresh"), curl.refreshing(facts)))
    return commands


def _programs(name: str, title: Any, module: ModuleType, facts: AppFacts) -> list[Snippet]:
    programs = []
    if facts.acts_alone and facts.method != "none":
        programs.append(
            Snippet(f"{name}-own-token", _("%(language)s: a token for the app itself") % {"language": title}, module.own_token(facts))
        )
    if facts.signs_in:
        programs.append(Snippet(f"{name}-sign-in", _("%(language)s: sign a person in") % {"language": title}, module.sign_in(facts)))
    return programs


def _registering(client: Client) -> list[Group]:
    command = curl.registration(endpoint_url("registration_endpoint"), registration_document(client))
    return [
        Group(
            "registration",
            _("Register another app like this one"),
            (Snippet("curl-register", _("Dynamic registration"), command),),
            _("With an initial access token of your organization."),
        ),
        Group(
            "federation",
            _("Join by federation"),
            (Snippet("entity-configuration", _("Claims of an entity configuration"), entity_configuration(client)),),
            _("Put in your times, keys and superiors, sign it with your federation key, and serve it at /.well-known/openid-federation."),
        ),
    ]
