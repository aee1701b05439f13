"""The only writer of state, trust and registered metadata (house decision 6).

Every call locks the row, asks permission, checks the guard, makes the transition and writes one audit row in one transaction; listeners
hear of it after commit. What a call refuses is `protocol.errors.TransitionRefused` or `MetadataRefused`, and nothing is written.
"""

from registry.lifecycle.assessment import Assessment, assess_metadata
from registry.lifecycle.change_requests import approve_change, decide_change, request_go_live
from registry.lifecycle.clients import Update, change_client, register_client, update_client
from registry.lifecycle.organizations import change_organization, create_organization, update_organization

__all__ = [
    "Assessment",
    "Update",
    "approve_change",
    "assess_metadata",
    "change_client",
    "change_organization",
    "create_organization",
    "decide_change",
    "register_client",
    "request_go_live",
    "update_client",
    "update_organization",
]
