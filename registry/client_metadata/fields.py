"""The members of client metadata this server understands, as a table. What is not here is ignored (DCR-META-01, -51)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from protocol.constants import CLIENT_ASSERTION_ALGORITHMS
from registry.client_metadata import values
from registry.findings import Findings

APPLICATION_TYPES: Final = ("web", "native")
TOKEN_ENDPOINT_AUTH_METHODS: Final = ("private_key_jwt", "client_secret_basic", "client_secret_post", "none")
GRANT_TYPES: Final = ("authorization_code", "refresh_token", "client_credentials")
RESPONSE_TYPES: Final = ("code",)
SUBJECT_TYPES: Final = ("public",)
ID_TOKEN_ALGORITHMS: Final = ("ES256", "RS256", "PS256", "Ed25519", "EdDSA")
ALL_ALGORITHMS: Final = CLIENT_ASSERTION_ALGORITHMS

LOCALIZABLE: Final = ("client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri")

# Members whose feature this server does not have: a value that asks for it is refused, never stored in silence (DCR-META-37, -46, -48).
NOT_OFFERED: Final = {
    "id_token_encrypted_response_alg": "encrypted ID tokens",
    "id_token_encrypted_response_enc": "encrypted ID tokens",
    "userinfo_signed_response_alg": "signed userinfo answers",
    "userinfo_encrypted_response_alg": "encrypted userinfo answers",
    "userinfo_encrypted_response_enc": "encrypted userinfo answers",
    "request_object_encryption_alg": "encrypted request objects",
    "request_object_encryption_enc": "encrypted request objects",
    "authorization_encrypted_response_alg": "encrypted authorization responses",
    "authorization_encrypted_response_enc": "encrypted authorization responses",
    "introspection_encrypted_response_alg": "encrypted introspection answers",
    "introspection_encrypted_response_enc": "encrypted introspection answers",
    "backchannel_logout_uri": "back-channel logout",
    "backchannel_logout_session_required": "back-channel logout",
    "frontchannel_logout_uri": "front-channel logout",
    "frontchannel_logout_session_required": "front-channel logout",
    "tls_client_certificate_bound_access_tokens": "certificate-bound access tokens",
    "dpop_bound_access_tokens": "DPoP-bound access tokens",
}


@dataclass(frozen=True, slots=True)
class OneOf:
    """Reads a string that must be one of `choices`."""

    choices: tuple[str, ...]

    def __call__(self, value: object, path: str, findings: Findings) -> str | None:
        """Return the value, or None after a finding that lists the choices."""
        if isinstance(value, str) and value in self.choices:
            return value
        findings.error("value.choice", path, f"{path} must be one of {', '.join(self.choices)}.")
        return None


@dataclass(frozen=True, slots=True)
class SomeOf:
    """Reads an array of strings, each of which must be one of `choices`; `refused` says more about some that are not."""

    choices: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()

    def __call__(self, value: object, path: str, findings: Findings) -> list[str] | None:
        """Return the values, or None after findings about those that are not among the choices."""
        entries = values.read_strings(value, path, findings)
        if entries is None:
            return None
        wrong = [entry for entry in entries if entry not in self.choices]
        for entry in wrong:
            hint = dict(self.refused).get(entry, f"Use {', '.join(self.choices)}." if self.choices else f"Leave out {path}.")
            findings.error("value.choice", path, f"{path} contains {entry[:60]!r}, which this server does not offer.", hint)
        return None if wrong else entries


def read_response_types(value: object, path: str, findings: Findings) -> list[str] | None:
    """Return response types with the words of each in one order (DCR-META-22)."""
    entries = values.read_strings(value, path, findings)
    if entries is None:
        return None
    return SomeOf(RESPONSE_TYPES, _RESPONSE_TYPE_HINTS)([" ".join(sorted(entry.split())) for entry in entries], path, findings)


def read_request_uris(value: object, path: str, findings: Findings) -> list[str] | None:
    """Return an empty list: request objects by reference are not fetched, so none can be registered (DCR-META-42)."""
    entries = values.read_strings(value, path, findings)
    if entries:
        findings.error(
            "request_uris.not_offered", path, "This server does not fetch request objects by reference.", "Push requests (RFC 9126)."
        )
        return None
    return entries


def read_anything(value: object, path: str, findings: Findings) -> Any:  # noqa: ARG001
    """Return the value; a rule reads it later."""
    return value


_GRANT_HINTS = (
    ("password", "Passwords belong to the sign-in page only; use authorization_code with PKCE."),
    ("implicit", "Use authorization_code with PKCE."),
)
_RESPONSE_TYPE_HINTS = (("token", "Use code."), ("id_token", "Use code."), ("id_token token", "Use code."))

READERS: Final[dict[str, values.Reader]] = {
    "redirect_uris": read_anything,
    "application_type": OneOf(APPLICATION_TYPES),
    "token_endpoint_auth_method": OneOf(TOKEN_ENDPOINT_AUTH_METHODS),
    "token_endpoint_auth_signing_alg": OneOf(ALL_ALGORITHMS),
    "grant_types": SomeOf(GRANT_TYPES, _GRANT_HINTS),
    "response_types": read_response_types,
    "client_name": values.read_name,
    "client_uri": values.read_https_url,
    "logo_uri": values.read_https_url,
    "tos_uri": values.read_https_url,
    "policy_uri": values.read_https_url,
    "contacts": values.read_contacts,
    "scope": values.read_scope,
    "jwks_uri": values.read_https_url,
    "jwks": read_anything,
    "software_id": values.read_identifier,
    "software_version": values.read_identifier,
    "subject_type": OneOf(SUBJECT_TYPES),
    "sector_identifier_uri": values.read_https_url,
    "id_token_signed_response_alg": OneOf(ID_TOKEN_ALGORITHMS),
    "request_object_signing_alg": OneOf(ALL_ALGORITHMS),
    "require_signed_request_object": values.read_boolean,
    "require_pushed_authorization_requests": values.read_boolean,
    "request_uris": read_request_uris,
    "default_max_age": values.read_seconds,
    "require_auth_time": values.read_boolean,
    "default_acr_values": SomeOf(()),
    "initiate_login_uri": values.read_https_url,
    "post_logout_redirect_uris": read_anything,
}
