"""The verifiers of this server, one per kind of JWT, in one table (J05).

Where a kind has no `typ` of its own on the wire, its required and forbidden claims keep the kinds apart: a client assertion has
`iss` equal to `sub` and a `jti`, a request object has no `sub`, an ID token has a `sub` other than `iss`, a software statement
has neither `sub` nor `client_id`, and only a logout token has `events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from protocol.constants import (
    CLIENT_ASSERTION_ALGORITHMS,
    CLIENT_ASSERTION_LIFETIME,
    CLIENT_ASSERTION_LIMIT,
    ENTITY_STATEMENT_LIMIT,
    ENTITY_STATEMENT_TYPE,
    EXPLICIT_REGISTRATION_RESPONSE_TYPE,
    JWKS_LIMIT,
    REQUEST_OBJECT_LIMIT,
    REQUEST_OBJECT_TYPE,
    RESOLVE_RESPONSE_TYPE,
    SIGNED_JWKS_TYPE,
    TRUST_CHAIN_HEADER_LIMIT,
    TRUST_MARK_DELEGATION_TYPE,
    TRUST_MARK_TYPE,
)
from protocol.jose.claims import AudienceRule
from protocol.jose.verifier import BASIC_HEADERS, CHAIN_HEADERS, Verifier

CLIENT_ASSERTION_TYP: Final = "client-authentication+jwt"
ENTITY_CLAIM_TYP: Final = "entity-claim+jwt"
TRUST_MARK_STATUS_RESPONSE_TYPE: Final = "trust-mark-status-response+jwt"
REQUEST_OBJECT_LIFETIME: Final = 300

_WITH_CHAIN: Final = BASIC_HEADERS | {"trust_chain"}
_WITH_CHAINS: Final = BASIC_HEADERS | CHAIN_HEADERS

# RFC 7523, 3; OpenID Connect Core, 9; PKJ-03 to PKJ-07. `jti` is required because it is used once.
CLIENT_ASSERTION: Final = Verifier(
    purpose="client_assertion",
    types=(CLIENT_ASSERTION_TYP,),
    untyped_allowed=True,
    algorithms=CLIENT_ASSERTION_ALGORITHMS,
    max_length=CLIENT_ASSERTION_LIMIT,
    require_kid=False,
    required=("iss", "sub", "aud", "exp", "jti"),
    forbidden=("events", "nonce", "response_type"),
    same=(("iss", "sub"),),
    audience_rule=AudienceRule.EXACTLY,
    lifetime=CLIENT_ASSERTION_LIFETIME,
)

# OpenID Federation 1.0, 12.1.1.2: the same, and the assertion may bring its trust chain.
FEDERATION_CLIENT_ASSERTION: Final = replace(
    CLIENT_ASSERTION,
    purpose="federation_client_assertion",
    headers=_WITH_CHAINS,
    max_length=TRUST_CHAIN_HEADER_LIMIT,
    require_kid=True,
)

# RFC 9101, 4 and 10.8; JAR-01 to JAR-07. `sub` is refused so that no client assertion can pass.
REQUEST_OBJECT: Final = Verifier(
    purpose="request_object",
    types=(REQUEST_OBJECT_TYPE,),
    untyped_allowed=True,
    max_length=REQUEST_OBJECT_LIMIT,
    require_kid=False,
    required=("iss", "aud", "client_id", "exp"),
    forbidden=("sub", "events", "request", "request_uri"),
    same=(("iss", "client_id"),),
    audience_rule=AudienceRule.CONTAINS,
    lifetime=REQUEST_OBJECT_LIFETIME,
)

# OpenID Federation 1.0, 12.1.1.1; FED-AUT-09 to -15, -18.
FEDERATION_REQUEST_OBJECT: Final = replace(
    REQUEST_OBJECT,
    purpose="federation_request_object",
    headers=_WITH_CHAINS,
    max_length=TRUST_CHAIN_HEADER_LIMIT,
    require_kid=True,
    required=(*REQUEST_OBJECT.required, "jti"),
    audience_rule=AudienceRule.CONTAINS_ONLY,
)

# OpenID Federation 1.0, 3.1 and 3.2; FED-ESV-26 to -28: no audience, no trust anchor, no chain in the header.
ENTITY_STATEMENT: Final = Verifier(
    purpose="entity_statement",
    types=(ENTITY_STATEMENT_TYPE,),
    max_length=ENTITY_STATEMENT_LIMIT,
    required=("iss", "sub", "iat", "exp", "jwks"),
    forbidden=("aud", "trust_anchor"),
)

# OpenID Federation 1.0, 12.2.1; FED-EXP-04: an entity configuration made for this server.
EXPLICIT_REGISTRATION_REQUEST: Final = Verifier(
    purpose="explicit_registration_request",
    types=(ENTITY_STATEMENT_TYPE,),
    headers=_WITH_CHAINS,
    max_length=TRUST_CHAIN_HEADER_LIMIT,
    required=("iss", "sub", "aud", "iat", "exp", "jwks", "authority_hints", "metadata"),
    forbidden=("trust_anchor",),
    same=(("iss", "sub"),),
    audience_rule=AudienceRule.CONTAINS_ONLY,
)

# OpenID Federation 1.0, 12.2.3; FED-EXP-22 to -27, FED-ESV-29.
EXPLICIT_REGISTRATION_RESPONSE: Final = Verifier(
    purpose="explicit_registration_response",
    types=(EXPLICIT_REGISTRATION_RESPONSE_TYPE,),
    max_length=ENTITY_STATEMENT_LIMIT,
    required=("iss", "sub", "aud", "iat", "exp", "trust_anchor", "authority_hints", "metadata"),
    audience_rule=AudienceRule.CONTAINS_ONLY,
)

# OpenID Federation 1.0, 7.1 and 7.3; FED-TMK-02, -04, -14, -16. Without `exp` a trust mark does not expire.
TRUST_MARK: Final = Verifier(
    purpose="trust_mark",
    types=(TRUST_MARK_TYPE,),
    headers=_WITH_CHAIN,
    max_length=ENTITY_STATEMENT_LIMIT,
    required=("iss", "sub", "trust_mark_type", "iat"),
)

# OpenID Federation 1.0, 7.2; FED-TMK-08, -09, -11.
TRUST_MARK_DELEGATION: Final = Verifier(
    purpose="trust_mark_delegation",
    types=(TRUST_MARK_DELEGATION_TYPE,),
    max_length=ENTITY_STATEMENT_LIMIT,
    required=("iss", "sub", "trust_mark_type", "iat"),
)

# OpenID Federation 1.0, 8.4.2; FED-TMS-03, -04.
TRUST_MARK_STATUS_RESPONSE: Final = Verifier(
    purpose="trust_mark_status_response",
    types=(TRUST_MARK_STATUS_RESPONSE_TYPE,),
    headers=_WITH_CHAIN,
    max_length=TRUST_CHAIN_HEADER_LIMIT,
    required=("iss", "iat", "trust_mark", "status"),
)

# OpenID Federation 1.0, 8.3.2; FED-RSL-03 to -05, -08.
RESOLVE_RESPONSE: Final = Verifier(
    purpose="resolve_response",
    types=(RESOLVE_RESPONSE_TYPE,),
    headers=_WITH_CHAIN,
    max_length=TRUST_CHAIN_HEADER_LIMIT,
    required=("iss", "sub", "iat", "exp", "metadata", "trust_chain"),
)

# OpenID Federation 1.0, 5.2.1; FED-JWK-02 to -06. `sub` tells it from historical keys, which share the type.
SIGNED_JWKS: Final = Verifier(
    purpose="signed_jwks",
    types=(SIGNED_JWKS_TYPE,),
    headers=_WITH_CHAIN,
    max_length=JWKS_LIMIT,
    required=("iss", "sub", "keys"),
)

# OpenID Federation 1.0, 8.7.2; FED-HKE-02, -03.
HISTORICAL_KEYS: Final = Verifier(
    purpose="historical_keys",
    types=(SIGNED_JWKS_TYPE,),
    headers=_WITH_CHAIN,
    max_length=JWKS_LIMIT,
    required=("iss", "iat", "keys"),
    forbidden=("sub",),
)

# Ours: an entity signs the challenge of an organization that claims it (house decision 8).
ENTITY_CLAIM: Final = Verifier(
    purpose="entity_claim",
    types=(ENTITY_CLAIM_TYP,),
    max_length=CLIENT_ASSERTION_LIMIT,
    required=("iss", "aud", "exp", "challenge"),
    forbidden=("sub", "client_id", "jwks", "metadata", "trust_mark_type"),
    audience_rule=AudienceRule.CONTAINS_ONLY,
)

# RFC 7591, 2.3; DCR-SS-01, -03, -05. The standard gives no type; the server decides which issuers count.
SOFTWARE_STATEMENT: Final = Verifier(
    purpose="software_statement",
    types=(),
    untyped_allowed=True,
    max_length=REQUEST_OBJECT_LIMIT,
    require_kid=False,
    required=("iss",),
    forbidden=(
        "sub",
        "client_id",
        "nonce",
        "events",
        "response_type",
        "redirect_uri",
        "request",
        "request_uri",
        "software_statement",
        "keys",
        "trust_mark",
        "trust_mark_type",
        "challenge",
    ),
    audience_rule=AudienceRule.CONTAINS,
    audience_optional=True,
)

# OpenID Connect Core, 2 and 3.1.2.1: a hint, so an expired one still says who is meant.
ID_TOKEN: Final = Verifier(
    purpose="id_token",
    types=(),
    untyped_allowed=True,
    max_length=CLIENT_ASSERTION_LIMIT,
    required=("iss", "sub", "aud", "exp", "iat"),
    forbidden=("events", "client_id", "response_type", "jwks", "keys", "metadata", "trust_mark_type"),
    different=(("iss", "sub"),),
    expired_accepted=True,
)

VERIFIERS: Final[Mapping[str, Verifier]] = MappingProxyType(
    {
        verifier.purpose: verifier
        for verifier in (
            CLIENT_ASSERTION,
            FEDERATION_CLIENT_ASSERTION,
            REQUEST_OBJECT,
            FEDERATION_REQUEST_OBJECT,
            ENTITY_STATEMENT,
            EXPLICIT_REGISTRATION_REQUEST,
            EXPLICIT_REGISTRATION_RESPONSE,
            TRUST_MARK,
            TRUST_MARK_DELEGATION,
            TRUST_MARK_STATUS_RESPONSE,
            RESOLVE_RESPONSE,
            SIGNED_JWKS,
            HISTORICAL_KEYS,
            ENTITY_CLAIM,
            SOFTWARE_STATEMENT,
            ID_TOKEN,
        )
    }
)
