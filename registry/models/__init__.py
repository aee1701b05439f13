"""Models of the registry, by subject."""

from registry.models.audit import AuditEvent, AuditSeal
from registry.models.changes import ChangeRequest
from registry.models.checks import ClientCheck
from registry.models.clients import Client, ClientKeySet, ClientKeyUse, ClientSecret, FetchedKeySet
from registry.models.entitlements import Entitlement, Scope
from registry.models.notices import Notice
from registry.models.organizations import Contact, Invitation, Membership, Organization
from registry.models.policies import PolicyRecord
from registry.models.server import ServerSecret, SigningKey
from registry.models.single_use import SingleUseValue
from registry.models.users import User

__all__ = [
    "AuditEvent",
    "AuditSeal",
    "ChangeRequest",
    "Client",
    "ClientCheck",
    "ClientKeySet",
    "ClientKeyUse",
    "ClientSecret",
    "Contact",
    "Entitlement",
    "FetchedKeySet",
    "Invitation",
    "Membership",
    "Notice",
    "Organization",
    "PolicyRecord",
    "Scope",
    "ServerSecret",
    "SigningKey",
    "SingleUseValue",
    "User",
]
