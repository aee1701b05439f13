"""Looking at an entity for a person who asks: its configuration, and the thirteen steps to an anchor of ours (portal.md 4.7).

Nothing is written. Everything is fetched by a fetcher that the caller limits; verified statements come from the cache where they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from federation.client_documents import Way
from federation.core.resolution import Failure, FailureClass, Fixer, Resolution, Step, StepNumber, StepStatus
from federation.core.resolver import RELYING_PARTY_TYPES, configuration_url
from federation.core.statements import EntityConfiguration, parse_entity_statement, verify_entity_configuration
from federation.core.trust_chains import PolicyStatement, TrustAnchor
from federation.decoding import DecodedToken, decode_token
from federation.mark_entitlements import MarkVerdict
from federation.registration import Candidate, Surroundings, as_time, list_changes, prepare, read_surroundings
from federation.resolution_report import describe_resolution
from federation.resolving import get_resolver
from federation.trust_anchors import get_trust_anchors
from federation.trust_report import TrustReport
from protocol.errors import FederationError, FetchError, InvalidJwt, InvalidMetadata, StatementInvalid, TemporarilyUnavailable
from protocol.fetch import Fetcher, FetchPurpose, standard_request
from protocol.jose import VerificationBudget
from registry.client_metadata.wire import error_for_findings
from registry.findings import Finding, Findings
from registry.lifecycle import Assessment, Rules, assess_document
from registry.models import Client, Organization
from registry.pasted_keys import LEAKED, holds_private_jwk
from registry.policies import get_scope_rules

_ENDS_SOON: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class EntityReading:
    """What an entity publishes at `url`: the decoded token, None when there is none, and everything there is to say about it."""

    url: str
    token: DecodedToken | None
    superiors: tuple[str, ...]
    entity_types: tuple[str, ...]
    findings: tuple[Finding, ...]


def read_entity(entity_id: str, fetcher: Fetcher, *, now: datetime) -> EntityReading:
    """Fetch and read the configuration of an entity, as a person may see it. One query; raises nothing."""
    url, findings = configuration_url(entity_id), Findings()
    token: DecodedToken | None = None
    configuration: EntityConfiguration | None = None
    try:
        answer = fetcher.fetch(standard_request(FetchPurpose.ENTITY_CONFIGURATION, url))
        token = decode_token(answer.body.decode("ascii", "replace"), None, now=int(now.timestamp()))
        statement = parse_entity_statement(answer.body)
        configuration = verify_entity_configuration(statement, entity_id, now=int(now.timestamp()), budget=VerificationBudget(1))
    except FetchError as error:
        hint = "It must be served there over https, on a public host, without redirects, as application/entity-statement+jwt."
        findings.error("statement.fetch", "entity_id", error.description, hint)
    except InvalidJwt as error:
        findings.items.append(_leaked() if error.reason == "private_key" else _finding(error.reason, "statement", error.description))
    except StatementInvalid as error:
        findings.items.append(_finding(error.reason, error.claim or "statement", error.description))
    known = {(finding.field, finding.sentence) for finding in findings.items}
    findings.items += [one for one in (token.findings if token else ()) if (one.field, one.sentence) not in known]
    if configuration is None:
        return EntityReading(url, token, (), (), tuple(findings.items))
    _advise(configuration, findings, now)
    return EntityReading(url, token, configuration.authority_hints, tuple(configuration.metadata), tuple(findings.items))


def _finding(reason: str, path: str, sentence: str) -> Finding:
    return Finding(f"statement.{reason}", "error", path, sentence)


def _leaked() -> Finding:
    return replace(LEAKED, field="statement", sentence="This entity publishes a private or secret key; it is not shown here.")


def _advise(configuration: EntityConfiguration, findings: Findings, now: datetime) -> None:
    """Add what could be better about a configuration that is valid by itself."""
    anchors, _ = get_trust_anchors()
    anchor = next((one for one in anchors if one.entity_id == configuration.subject), None)
    if anchor is not None:
        _compare_with_pins(configuration, anchor, findings)
    elif not configuration.authority_hints:
        words = "It names no superior, and it is no trust anchor that is accepted here, so no trust chain can lead to it."
        findings.warning("statement.no_superior", "authority_hints", words, "Name its immediate superiors in authority_hints.")
    if as_time(configuration.expires_at) - now < _ENDS_SOON:
        findings.warning("statement.ends_soon", "exp", "It ends within an hour.", "Issue a new one well before the old one ends.")
    if len(configuration.keys.keys) == 1:
        words = "It has one federation key only. With two, a key can be replaced without an interruption."
        findings.warning("statement.single_key", "jwks", words)
    if not set(RELYING_PARTY_TYPES) & set(configuration.metadata):
        names = " or ".join(RELYING_PARTY_TYPES)
        findings.note("statement.no_app", "metadata", f"It is no app: it has no metadata as {names}.")


def _compare_with_pins(configuration: EntityConfiguration, anchor: TrustAnchor, findings: Findings) -> None:
    if configuration.is_signed_by(anchor.keys, VerificationBudget(1)):
        findings.note("statement.anchor", "sub", "It is a trust anchor that is accepted here, signed by a key that is pinned here.")
    else:
        findings.error(
            "statement.pin", "sub", "It is a trust anchor that is accepted here, but it is not signed by a key that is pinned here."
        )


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the thirteen steps came to; `evidence` is what the statement at fault says, the values are those of a registration."""

    resolution: Resolution
    steps: tuple[Step, ...]
    report: TrustReport
    evidence: Mapping[str, Any] | None
    entity_type: str = ""
    declared: Mapping[str, Any] | None = None
    resolved: Mapping[str, Any] | None = None
    registered: Mapping[str, Any] | None = None
    changes: tuple[Mapping[str, Any], ...] = ()
    marks: tuple[MarkVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Registration:
    """What a registration of the entity would come to: as far as it came, and the failure that ended it."""

    candidate: Candidate | None = None
    assessment: Assessment | None = None
    failure: Failure | None = None


def inspect_entity(entity_id: str, fetcher: Fetcher, *, now: datetime, organization: Organization | None = None) -> Inspection:
    """Resolve an entity against the accepted trust anchors, and say what our rules would make of it as an app. Raises nothing.

    Those are the rules for `organization`, or for every organization.
    """
    around = read_surroundings(get_resolver(fetcher=fetcher))
    resolution = around.resolver.resolve(entity_id, entity_types=())
    tried = _try_registration(resolution, around, now, organization)
    failure = resolution.failure or tried.failure
    steps = _complete(resolution, tried, organization)
    report = describe_resolution(resolution, steps, failure, anchors=frozenset(around.resolver.anchors))
    evidence = failure.evidence if failure and not holds_private_jwk(failure.evidence) else None
    if tried.candidate is None:
        return Inspection(resolution, steps, report, evidence)
    document, decided = tried.candidate.document, tried.assessment.decisions if tried.assessment else ()
    return Inspection(
        resolution,
        steps,
        report,
        evidence,
        entity_type=document.entity_type,
        declared=document.declared,
        resolved=document.resolved,
        registered=tried.assessment.metadata if tried.assessment else None,
        changes=tuple(list_changes(resolution.metadata, document.entity_type, (*document.decisions, *decided))),
        marks=tried.candidate.marks.verdicts,
        findings=tried.assessment.findings if tried.assessment else (),
    )


def statements_above(entity_id: str, fetcher: Fetcher) -> tuple[Resolution, Sequence[PolicyStatement]]:
    """Return how an entity resolves, and the statements of its chain, its immediate superior's first."""
    resolution = get_resolver(fetcher=fetcher).resolve(entity_id, entity_types=())
    return resolution, resolution.chain.statements if resolution.chain else ()


def _try_registration(resolution: Resolution, around: Surroundings, now: datetime, organization: Organization | None) -> _Registration:
    """Prepare the entity as if it registered for `organization`; two queries and fetches, nothing is written."""
    if resolution.metadata is None or not set(RELYING_PARTY_TYPES) & set(resolution.metadata.metadata):
        return _Registration()
    try:
        candidate = prepare(resolution, _way(resolution), around, organization)
    except FederationError as error:
        return _Registration(failure=_refusal(resolution, error))
    rules = Rules(around.policies.of(organization.pk if organization else None), get_scope_rules())
    assessment = assess_document(candidate.document.document, rules, stage=Client.Stage.LIVE, now=now)
    if assessment.errors:
        refusal = InvalidMetadata(error_for_findings(assessment.errors).description)
        return _Registration(candidate, assessment, _refusal(resolution, refusal))
    return _Registration(candidate, assessment)


def _way(resolution: Resolution) -> Way:
    """Return how the entity would register: automatically, unless its metadata names another way only."""
    metadata = resolution.metadata.metadata if resolution.metadata else {}
    types = next((metadata[name].get("client_registration_types") for name in RELYING_PARTY_TYPES if name in metadata), None)
    return Way.EXPLICIT if isinstance(types, list) and Way.AUTOMATIC.value not in types else Way.AUTOMATIC


def _refusal(resolution: Resolution, error: FederationError) -> Failure:
    transient = isinstance(error, TemporarilyUnavailable)
    kind = FailureClass.TRANSIENT if transient else FailureClass.SIGNED_NEGATIVE
    fixer = Fixer.NOBODY if transient else Fixer.PARTNER
    return Failure(StepNumber.LOCAL_RULES, resolution.entity_id, error.description, fixer, kind, error, error.detail)


def _complete(resolution: Resolution, tried: _Registration, organization: Organization | None) -> tuple[Step, ...]:
    """Return the steps with those about our own rules and trust marks filled in, which a resolution leaves open."""
    if not resolution.ok:
        return resolution.steps
    entity = resolution.entity_id
    none = Step(StepNumber.LOCAL_RULES, StepStatus.NOT_REACHED, entity, "It is no app, so there is nothing to register.")
    ours, marks = none, Step(StepNumber.TRUST_MARKS, StepStatus.NOT_REACHED, entity, "")
    if tried.failure is not None:
        ours = Step(StepNumber.LOCAL_RULES, StepStatus.FAILED, entity, tried.failure.sentence, tried.failure)
    elif tried.assessment is not None:
        whose = organization.legal_name if organization else "every organization"
        ours = Step(StepNumber.LOCAL_RULES, StepStatus.OK, entity, f"Checked by the rules for {whose}.")
    if tried.candidate is not None:
        verdicts = tried.candidate.marks.verdicts
        words = f"{sum(one.counts for one in verdicts)} of {len(verdicts)} that this server has a rule about count."
        marks = Step(StepNumber.TRUST_MARKS, StepStatus.OK, entity, words if verdicts else "None that this server has a rule about.")
    filled = {StepNumber.LOCAL_RULES: ours, StepNumber.TRUST_MARKS: marks}
    return tuple(filled.get(step.number, step) for step in resolution.steps)
