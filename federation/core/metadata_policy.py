"""Metadata policy: resolving the policies of a trust chain and applying the result (OpenID Federation 1.0, 6.1.4).

Pure. A policy of one entity type maps a metadata parameter to its operators. Policies are merged anchor first, so that a subordinate can
only tighten what its superiors said (FED-POL-02).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from federation.core.policy_operators import ABSENT, OPERATORS, check_combination
from protocol.errors import PolicyConflict, PolicyViolation

Policy = Mapping[str, Mapping[str, Any]]
# The one parameter that is a list in a string; operators see it as an array (6.1.3.1.8; FED-POL-29, -30).
_SPACE_SEPARATED: Final = "scope"
_NAME_SHOWN: Final = 80
# Tuples, because a union is built anew for each question; dict first, because asking an abstract class takes long.
_OBJECTS: Final = (dict, Mapping)
_ARRAYS: Final = (list, tuple)


def resolve_policy(policies: Sequence[object], *, critical_operators: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the resolved policy of one entity type from its policies in a chain, the trust anchor's first (6.1.4.1).

    `critical_operators` are the names of `metadata_policy_crit` of all statements of the chain. Unknown operators are left out unless they
    are critical (FED-POL-32, -33). Raises PolicyConflict, naming parameter and operator.
    """
    check_critical_operators(critical_operators)
    resolved: Policy = {}
    for policy in policies:
        resolved = merge_policy(resolved, read_policy(policy))
    return {parameter: {name: _thawed(value) for name, value in operators.items()} for parameter, operators in resolved.items()}


def check_critical_operators(names: Iterable[str]) -> None:
    """Refuse a chain whose critical operators are not all known here (FED-POL-33, -34). Raises PolicyConflict."""
    if unknown := sorted(set(names) - OPERATORS.keys()):
        raise PolicyConflict(f"The policy operator {_shown(unknown[0])} is critical and not known here.")


def merge_policy(superior: Policy, subordinate: Policy) -> Policy:
    """Return two policies as `read_policy` returns them, merged; the superior's goes first (FED-POL-37 to -39). Raises PolicyConflict."""
    merged = dict(superior)
    for parameter, operators in subordinate.items():
        merged[parameter] = _merge_parameter(parameter, superior[parameter], operators) if parameter in superior else operators
    return merged


def read_policy(policy: object) -> dict[str, dict[str, Any]]:
    """Return the policy of one entity type with known operators only, values normalized, every rule of 6.1.3 checked.

    Raises PolicyConflict (FED-POL-01, -05, -36).
    """
    if not isinstance(policy, _OBJECTS):
        raise PolicyConflict("A metadata policy maps parameters to operators.")
    read: dict[str, dict[str, Any]] = {}
    for parameter, operators in policy.items():
        if not isinstance(operators, _OBJECTS):
            raise _conflict(parameter, "the policy is not an object of operators")
        known = {name: _frozen(parameter, value) for name, value in operators.items() if name in OPERATORS}
        for name, value in known.items():
            if not OPERATORS[name].accepts(value):
                raise _conflict(parameter, f"'{name}' has a value of a type that is not supported")
        read[parameter] = _checked(parameter, known)
    return read


def _merge_parameter(parameter: str, superior: Mapping[str, Any], subordinate: Mapping[str, Any]) -> dict[str, Any]:
    """Merge operator by operator, then check the merged combination again (FED-POL-37 to -39)."""
    merged = dict(superior)
    for name, value in subordinate.items():
        try:
            merged[name] = OPERATORS[name].merge(merged[name], value) if name in merged else value
        except PolicyConflict as error:
            raise _conflict(parameter, f"'{name}': {error.description}") from None
    return _checked(parameter, merged)


def _checked(parameter: str, operators: dict[str, Any]) -> dict[str, Any]:
    try:
        check_combination(operators)
    except PolicyConflict as error:
        raise _conflict(parameter, error.description) from None
    return operators


def apply_policy(policy: Policy, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return `metadata` of one entity type after a resolved policy (6.1.4.2); the input stays as it is.

    Raises PolicyViolation, naming parameter and operator, or PolicyConflict for a policy that is none.
    """
    return apply_read_policy(read_policy(policy), metadata)


def apply_read_policy(policy: Policy, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Do the same with a policy that `read_policy` or `merge_policy` returned. Raises PolicyViolation."""
    result = dict(metadata)
    for parameter, operators in policy.items():
        value = _frozen(parameter, result[parameter]) if parameter in result else ABSENT
        # Most parameters have one operator, which needs no order.
        for name in OPERATORS if len(operators) > 1 else operators:
            if name in operators:
                try:
                    value = OPERATORS[name].apply(value, operators[name])
                except PolicyViolation as error:
                    raise PolicyViolation(f"{_shown(parameter)}: {error.description}.", members=(parameter[:_NAME_SHOWN],)) from None
        if value is ABSENT:
            result.pop(parameter, None)
        else:
            result[parameter] = _written(parameter, value)
    return result


def _frozen(parameter: str, value: Any) -> Any:
    """Return an array as a tuple of distinct values, and a scope string as an array."""
    if parameter == _SPACE_SEPARATED and isinstance(value, str):
        value = [entry for entry in value.split(" ") if entry]
    if isinstance(value, _ARRAYS):
        return tuple(dict.fromkeys(value)) if all(isinstance(entry, str) for entry in value) else tuple(value)
    return value


def _thawed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _written(parameter: str, value: Any) -> Any:
    """Return a value as metadata holds it: scope is one string again."""
    if parameter == _SPACE_SEPARATED and isinstance(value, tuple):
        return " ".join(str(entry) for entry in value)
    return _thawed(value)


def _conflict(parameter: str, problem: str) -> PolicyConflict:
    return PolicyConflict(f"{_shown(parameter)}: {problem}.", members=(parameter[:_NAME_SHOWN],))


def _shown(name: str) -> str:
    """Return a foreign name in quotes, short and harmless."""
    return repr(name[:_NAME_SHOWN])
