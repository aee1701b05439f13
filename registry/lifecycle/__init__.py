"""The only writer of state, trust and registered metadata (house decision 6).

Every call locks the row, asks permission, checks the guard, makes the transition and writes one audit row in one transaction; listeners
hear of it after commit. What a call refuses is `protocol.errors.TransitionRefused` or `MetadataRefused`, and nothing is written.
"""

from registry.lifecycle.assessment import Assessment, Rules, assess_document, assess_metadata
from registry.lifecycle.change_requests import approve_change, assign_change, decide_change, request_go_live
from registry.lifecycle.clients import Update, change_client, register_client, update_client
from registry.lifecycle.dynamic import DynamicRegistration, register_dynamic_client
from registry.lifecycle.organizations import change_organization, create_organization, submission_digest, update_organization
from registry.lifecycle.switches import set_client_switch
from registry.lifecycle.trust import (
    TrustedMetadata,
    confirm_trust,
    end_trust,
    extend_trust,
    keep_trust,
    lose_trust,
    register_trusted_client,
)

__all__ = [
    "Assessment",
    "DynamicRegistration",
    "Rules",
    "TrustedMetadata",
    "Update",
    "approve_change",
    "assess_document",
    "assess_metadata",
    "assign_change",
    "change_client",
    "change_organization",
    "confirm_trust",
    "create_organization",
    "decide_change",
    "end_trust",
    "extend_trust",
    "keep_trust",
    "lose_trust",
    "register_client",
    "register_dynamic_client",
    "register_trusted_client",
    "request_go_live",
    "set_client_switch",
    "submission_digest",
    "update_client",
    "update_organization",
]
