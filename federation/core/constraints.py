"""Constraints that a superior sets on what is below it (OpenID Federation 1.0, 6.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.errors import ConstraintViolated, StatementInvalid
from protocol.urls import parse_entity_identifier

FEDERATION_ENTITY: Final = "federation_entity"
# A host, or with a leading dot everything below it. What is anything else would exclude nothing, so that it is refused (threats.md T04).
_HOST_NAME: Final = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Constraints:
    """The constraints of one statement; None is no constraint. Names are host constraints of RFC 5280, 4.2.1.10, in lower case."""

    max_path_length: int | None = None
    permitted: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()
    allowed_entity_types: frozenset[str] | None = None


UNCONSTRAINED: Final = Constraints()


def parse_constraints(value: object, *, present: bool = True) -> Constraints:
    """Return the constraints of a statement; unknown members are ignored (FED-CON-02, -03, -04, -10). Raises StatementInvalid."""
    if not present:
        return UNCONSTRAINED
    if not isinstance(value, dict):
        raise _invalid("is not an object")
    naming = value.get("naming_constraints", {})
    if not isinstance(naming, dict):
        raise _invalid("has naming_constraints that are not an object")
    return Constraints(
        max_path_length=_path_length(value),
        permitted=_names(naming, "permitted") if "permitted" in naming else None,
        excluded=_names(naming, "excluded"),
        allowed_entity_types=_entity_types(value),
    )


def _invalid(problem: str) -> StatementInvalid:
    return StatementInvalid("constraints", f"The claim 'constraints' {problem}.", claim="constraints")


def _path_length(value: Mapping[str, Any]) -> int | None:
    length = value.get("max_path_length")
    if "max_path_length" in value and (isinstance(length, bool) or not isinstance(length, int) or length < 0):
        raise _invalid("has a max_path_length that is not a whole number, 0 or more")
    return length


def _names(naming: Mapping[str, Any], member: str) -> tuple[str, ...]:
    names = naming.get(member, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isascii() for name in names):
        raise _invalid(f"has {member} names that are not an array of hosts")
    lowered = tuple(name.lower() for name in names)
    if not all(_HOST_NAME.fullmatch(name) for name in lowered):
        raise _invalid(f"has {member} names that are not hosts, with or without a leading dot")
    return lowered


def _entity_types(value: Mapping[str, Any]) -> frozenset[str] | None:
    if "allowed_entity_types" not in value:
        return None
    types = value["allowed_entity_types"]
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise _invalid("has allowed_entity_types that are not an array of strings")
    if FEDERATION_ENTITY in types:
        raise _invalid("lists federation_entity, which is always allowed")
    return frozenset(types)


def host_matches(host: str, name: str) -> bool:
    """Say whether `host` is meant by the constraint `name`: with a leading dot any name below it, else that host alone (FED-CON-06)."""
    return host.endswith(name) and len(host) > len(name) if name.startswith(".") else host == name


def enforce_constraints(constraints: Constraints, intermediates: int, subordinates: Iterable[str]) -> None:
    """Check the constraints of one statement against what is below its issuer in a chain (FED-CON-01 to -08).

    `intermediates` counts the intermediates between the issuer and the chain's subject; `subordinates` are the identifiers of the
    statement's subject and of everything below it. Raises ConstraintViolated.
    """
    limit = constraints.max_path_length
    if limit is not None and intermediates > limit:
        raise ConstraintViolated(f"The path is too long: {intermediates} intermediates where {limit} are allowed.")
    for entity_id in subordinates:
        _enforce_naming(constraints, entity_id)


def _enforce_naming(constraints: Constraints, entity_id: str) -> None:
    url = parse_entity_identifier(entity_id)
    # An IP address is no host name: RFC 5280 gives it other constraints, so that it matches nothing here.
    names_match = url.host_kind == "name"
    if names_match and any(host_matches(url.host, name) for name in constraints.excluded):
        raise ConstraintViolated(f"The host {url.host} is excluded by a naming constraint.")
    if constraints.permitted is not None and not (names_match and any(host_matches(url.host, name) for name in constraints.permitted)):
        raise ConstraintViolated(f"The host {url.host} is not permitted by a naming constraint.")


def filter_entity_types(metadata: Mapping[str, Any], all_constraints: Iterable[Constraints]) -> dict[str, Any]:
    """Return metadata without the entity types that a statement of the chain does not allow (FED-CON-09 to -11)."""
    kept = dict(metadata)
    for constraints in all_constraints:
        if constraints.allowed_entity_types is not None:
            kept = {name: value for name, value in kept.items() if name == FEDERATION_ENTITY or name in constraints.allowed_entity_types}
    return kept
