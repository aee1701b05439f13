"""Models of dynamic client registration, by subject."""

from dcr.models.initial_access_tokens import InitialAccessToken, RefusedRegistration, RegistrationProfile
from dcr.models.open_registration import OpenRegistration
from dcr.models.registration_access_tokens import RegistrationAccessToken
from dcr.models.software_statements import AcceptedStatement, SoftwareStatementIssuer, StatementIssuerKeys, StatementOrganization

__all__ = [
    "AcceptedStatement",
    "InitialAccessToken",
    "OpenRegistration",
    "RefusedRegistration",
    "RegistrationAccessToken",
    "RegistrationProfile",
    "SoftwareStatementIssuer",
    "StatementIssuerKeys",
    "StatementOrganization",
]
