"""Models of the registry, by subject."""

from registry.models.audit import AuditEvent, AuditSeal
from registry.models.banners import Banner
from registry.models.changes import ChangeRequest
from registry.models.checks import ClientCheck
from registry.models.clients import Client, ClientKeySet, ClientKeyUse, ClientSecret, FetchedKeySet
from registry.models.drafts import AppDraft
from registry.models.entitlements import Entitlement, Scope
from registry.models.failures import FailedRequest
from registry.models.jobs import JobRecord
from registry.models.notices import MutedNotices, Notice, NoticeReceipt, Reminder
from registry.models.organizations import Contact, Invitation, Membership, Organization
from registry.models.policies import PolicyRecord
from registry.models.reviews import CannedReason, ReviewComment
from registry.models.server import ServerSecret, SigningKey
from registry.models.sessions import UserSession
from registry.models.single_use import SingleUseValue
from registry.models.users import User

__all__ = [
    "AppDraft",
    "AuditEvent",
    "AuditSeal",
    "Banner",
    "CannedReason",
    "ChangeRequest",
    "Client",
    "ClientCheck",
    "ClientKeySet",
    "ClientKeyUse",
    "ClientSecret",
    "Contact",
    "Entitlement",
    "FailedRequest",
    "FetchedKeySet",
    "Invitation",
    "JobRecord",
    "Membership",
    "MutedNotices",
    "Notice",
    "NoticeReceipt",
    "Organization",
    "PolicyRecord",
    "Reminder",
    "ReviewComment",
    "Scope",
    "ServerSecret",
    "SigningKey",
    "SingleUseValue",
    "User",
    "UserSession",
]
