"""The commands on the documentation pages, with the addresses of this server. Every one is run by a test as a newcomer would paste it."""

from __future__ import annotations

import json
from typing import Final

from django.conf import settings
from django.urls import reverse

from authserver.endpoints import all_endpoints

_ENTITY: Final = {
    "iss": "https://app.example.org",
    "sub": "https://app.example.org",
    "iat": 1767225600,
    "exp": 1767312000,
    "jwks": {"keys": ["your federation keys, public parts"]},
    "authority_hints": ["https://federation.example.org"],
    "metadata": {
        "openid_relying_party": {
            "client_name": "Our app",
            "client_registration_types": ["automatic"],
            "redirect_uris": ["https://app.example.org/callback"],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "token_endpoint_auth_method": "private_key_jwt",
            "scope": "openid profile email",
            "jwks_uri": "https://app.example.org/keys.json",
        }
    },
}

_KEY: Final = """\
import json, time, uuid
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
public |= {{"kid": "key-1", "use": "sig", "alg": "ES256"}}
print("Register this:", json.dumps({{"keys": [public]}}))

client_id = input("Client ID: ")
now = int(time.time())
claims = {{"iss": client_id, "sub": client_id, "aud": "{issuer}"}}
claims |= {{"iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}}
print("client_assertion =", jwt.encode(claims, key, algorithm="ES256", headers={{"kid": "key-1"}}))
"""


def commands() -> dict[str, str]:
    """Return every command by its name."""
    values = {
        **all_endpoints(),
        "issuer": settings.ISSUER,
        "discovery": settings.ISSUER + reverse("openid-configuration"),
        "entity_configuration": settings.ISSUER + reverse("openid-federation"),
        "federation_registration_endpoint": settings.ISSUER + reverse("federation_registration"),
        "entity": json.dumps(_ENTITY, indent=2),
    }
    return {name: template.strip("\n").format_map(values) for name, template in _TEMPLATES.items()}


_TEMPLATES: Final[dict[str, str]] = {
    "discovery": "curl {discovery}",
    "client_credentials": """
curl {token_endpoint} --user "$CLIENT_ID:$CLIENT_SECRET" \\
  --data grant_type=client_credentials --data scope="$SCOPE"
""",
    "key": _KEY,
    "client_assertion": """
curl {token_endpoint} --data grant_type=client_credentials --data scope="$SCOPE" \\
  --data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\
  --data client_assertion="$CLIENT_ASSERTION"
""",
    "authorize": """
VERIFIER=$(openssl rand -hex 32)
CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary \\
  | openssl base64 -A | tr '+/' '-_' | tr -d '=')
echo "{authorization_endpoint}?response_type=code&scope=openid&state=x\\
&client_id=$CLIENT_ID&redirect_uri=$REDIRECT_URI\\
&code_challenge=$CHALLENGE&code_challenge_method=S256"
""",
    "code": """
curl {token_endpoint} --user "$CLIENT_ID:$CLIENT_SECRET" \\
  --data grant_type=authorization_code --data code="$CODE" \\
  --data-urlencode redirect_uri="$REDIRECT_URI" --data code_verifier="$VERIFIER"
""",
    "code_public": """
curl {token_endpoint} --data client_id="$CLIENT_ID" \\
  --data grant_type=authorization_code --data code="$CODE" \\
  --data-urlencode redirect_uri="$REDIRECT_URI" --data code_verifier="$VERIFIER"
""",
    "userinfo": 'curl {userinfo_endpoint} --header "Authorization: Bearer $ACCESS_TOKEN"',
    "refresh": """
curl {token_endpoint} --user "$CLIENT_ID:$CLIENT_SECRET" \\
  --data grant_type=refresh_token --data refresh_token="$REFRESH_TOKEN"
""",
    "register_machine": """
curl {registration_endpoint} --header "Authorization: Bearer $REGISTRATION_TOKEN" --header "Content-Type: application/json" \\
  --data '{{"client_name": "Oslo branch", "grant_types": ["client_credentials"], "scope": "'"$SCOPE"'"}}'
""",
    "register_web": """
curl {registration_endpoint} --header "Authorization: Bearer $REGISTRATION_TOKEN" --header "Content-Type: application/json" \\
  --data '{{"client_name": "Booking site", "redirect_uris": ["https://app.example.org/callback"],
    "grant_types": ["authorization_code", "refresh_token"], "scope": "openid profile offline_access"}}'
""",
    "register_native": """
curl {registration_endpoint} --header "Authorization: Bearer $REGISTRATION_TOKEN" --header "Content-Type: application/json" \\
  --data '{{"client_name": "Phone app", "application_type": "native", "token_endpoint_auth_method": "none",
    "redirect_uris": ["org.example.app:/callback", "http://127.0.0.1/callback"], "scope": "openid"}}'
""",
    "read": 'curl "$REGISTRATION_CLIENT_URI" --header "Authorization: Bearer $REGISTRATION_ACCESS_TOKEN"',
    "change": """
curl "$REGISTRATION_CLIENT_URI" --request PUT --header "Authorization: Bearer $REGISTRATION_ACCESS_TOKEN" \\
  --header "Content-Type: application/json" \\
  --data '{{"client_id": "'"$CLIENT_ID"'", "client_name": "Oslo office", "grant_types": ["client_credentials"], "scope": "'"$SCOPE"'"}}'
""",
    "delete": 'curl "$REGISTRATION_CLIENT_URI" --request DELETE --header "Authorization: Bearer $REGISTRATION_ACCESS_TOKEN"',
    "entity": "{entity}",
    "our_entity": "curl {entity_configuration}",
    "explicit": """
curl {federation_registration_endpoint} --header "Content-Type: application/entity-statement+jwt" \\
  --data-binary @configuration.jwt
""",
}
