"""The steps of checking a trust chain: what each looks at, and who mends it (portal.md 4.7). A test compares them with those there are."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from federation.core.resolution import TITLES, StepNumber
from portal.catalogue.entries import Entry, Group

_STEPS: Final = {
    StepNumber.FETCH_CONFIGURATION: (
        _("We fetch /.well-known/openid-federation below the entity identifier: DNS, TLS, media type, size and time all have to fit."),
        _("The partner: serve the document publicly, as application/entity-statement+jwt, without redirects."),
    ),
    StepNumber.VERIFY_CONFIGURATION: (
        _("The document is signed by a key in its own jwks, is about itself, and is neither expired nor from the future."),
        _("The partner: sign again with a published key, and check the clock."),
    ),
    StepNumber.AUTHORITY_HINTS: (
        _("The document names its superiors, without running in a circle and within the limit of fetches."),
        _("The partner: name the superiors in authority_hints."),
    ),
    StepNumber.FETCH_SUPERIOR: (
        _("We fetch the configuration of each superior, which names its fetch endpoint."),
        _("The superior: publish federation_fetch_endpoint."),
    ),
    StepNumber.FETCH_STATEMENT: (
        _("The superior says in a signed statement that the entity is its subordinate. Unknown there means: not, or no longer, a member."),
        _("The federation operator: enrol the entity, or answer again."),
    ),
    StepNumber.VERIFY_STATEMENT: (
        _("The statement is signed by the superior, and its keys are those the entity uses now."),
        _("The superior, asked by the partner: take over the new keys."),
    ),
    StepNumber.REACH_ANCHOR: (
        _("The chain ends at a trust anchor that this server accepts, signed by the keys that are pinned here."),
        _("Our staff and the partner: accept the anchor here, or join a federation below an accepted one."),
    ),
    StepNumber.CONSTRAINTS: (
        _("Path length, names and entity types stay within what the superiors allow."),
        _("The federation operator."),
    ),
    StepNumber.MERGE_POLICIES: (
        _("The metadata policies of all superiors are merged, and must not contradict each other."),
        _("The federation operator."),
    ),
    StepNumber.APPLY_POLICY: (
        _("The merged policy is applied to the metadata that the entity declares."),
        _("The partner: change the value that the finding names, or ask who set the rule."),
    ),
    StepNumber.LOCAL_RULES: (
        _("Our own rules look at the result, as at a form: the findings stand under Findings."),
        _("The partner."),
    ),
    StepNumber.TRUST_MARKS: (
        _("Trust marks that a rule of ours asks for are there, valid, and from an issuer that the anchor names."),
        _("The partner and the issuer of the mark."),
    ),
    StepNumber.EXPIRY: (
        _("The chain is valid until the first of its statements ends. It is renewed before."),
        _("Nobody, as long as everybody publishes newer statements in time."),
    ),
}

STEP_GROUP: Final[Group] = Group(
    "chain-steps",
    _("Steps of checking a trust chain"),
    tuple(Entry((f"step-{number.value}",), *texts, title=f"{number.value}. {TITLES[number]}") for number, texts in _STEPS.items()),
)
