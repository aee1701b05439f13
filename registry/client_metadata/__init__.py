"""Client metadata of RFC 7591 and OpenID Connect registration: one model for the form, DCR and federation (house decision 7).

`read_client_metadata` is pure: no database, no network, no clock. What this server allows is `registry.registration_policy`.
"""

from registry.client_metadata.reading import MetadataReading, known_members, read_client_metadata
from registry.client_metadata.wire import error_for_findings

__all__ = ["MetadataReading", "error_for_findings", "known_members", "read_client_metadata"]
