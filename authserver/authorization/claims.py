"""The claims parameter (OpenID Connect Core, 5.5), reduced to what this server can answer. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.errors import InvalidJson, InvalidRequest
from protocol.strict_json import parse_json_object

CLAIMS_LIMIT: Final = 8 * 1024
# What can be said about a person, and the scope that allows it (OpenID Connect Core, 5.4).
SCOPE_OF_CLAIM: Final = {"name": "profile", "email": "email", "email_verified": "email"}


@dataclass(frozen=True, slots=True)
class RequestedClaims:
    """Claims about the person by where they go; `subjects` and `contexts` are what the answer has to be of, where the request says so."""

    id_token: tuple[str, ...] = ()
    userinfo: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    essential_contexts: tuple[str, ...] = ()
    wanted_contexts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the claims with the place that each is for: id_token.email, userinfo.name."""
        return (*(f"id_token.{name}" for name in self.id_token), *(f"userinfo.{name}" for name in self.userinfo))

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes that the claims belong to: what the person is asked to allow."""
        return tuple(dict.fromkeys(SCOPE_OF_CLAIM[name] for name in (*self.id_token, *self.userinfo)))

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> RequestedClaims:
        """Return the claims that `dataclasses.asdict` wrote."""
        return cls(**{name: tuple(value) for name, value in members.items()})


NO_CLAIMS: Final = RequestedClaims()


def read_claims(text: str, entitled: Collection[str]) -> RequestedClaims:
    """Return what `text` asks for, as far as the client is entitled to it; claims that are unknown here are left out (5.5.1).

    Raises InvalidRequest.
    """
    try:
        claims = parse_json_object(text, max_bytes=CLAIMS_LIMIT)
    except InvalidJson as error:
        raise InvalidRequest(f"claims: {error.description}", members=("claims",)) from error
    places = {place: _read_place(place, claims.get(place, {})) for place in ("id_token", "userinfo")}

    def about_person(place: str) -> tuple[str, ...]:
        return tuple(sorted(name for name in places[place] if SCOPE_OF_CLAIM.get(name) in entitled))

    context = places["id_token"].get("acr", {})
    contexts = _values("acr", context)
    named = [set(_values("sub", place["sub"])) for place in places.values() if "sub" in place and place["sub"].keys() & {"value", "values"}]
    return RequestedClaims(
        id_token=about_person("id_token"),
        userinfo=about_person("userinfo"),
        subjects=tuple(sorted(set.intersection(*named))) or ("",) if named else (),
        essential_contexts=contexts if context.get("essential") else (),
        wanted_contexts=contexts,
    )


def _read_place(place: str, requests: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(requests, dict) or not all(request is None or isinstance(request, dict) for request in requests.values()):
        raise InvalidRequest(f"claims: {place} must hold an object, and each claim in it null or an object.", members=("claims",))
    return {name: request or {} for name, request in requests.items()}


def _values(name: str, request: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values that a claim may have. Raises InvalidRequest."""
    values = request.get("values", [request["value"]] if "value" in request else [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidRequest(f"claims: value and values of {name} must be texts.", members=("claims",))
    return tuple(values)
