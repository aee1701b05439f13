"""The seven standard metadata policy operators (OpenID Federation 1.0, 6.1.3.1), each one merge rule and one application rule.

Operator values are normalized before: JSON arrays are tuples of distinct values, and so are the values of `scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.errors import PolicyConflict, PolicyViolation
from protocol.strict_json import canonical_json

Values = tuple[Any, ...]
ParameterPolicy = Mapping[str, Any]
_ARRAY_ENTRIES: Final = (str, int, float, dict)


class _Absent:
    """The one object that stands for a parameter that is not there; null is a value of an operator, never of a parameter."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


def identity(value: Any) -> object:
    """Return a key that is equal for equal JSON values and for no others: true is not 1, and arrays are compared as sets."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return frozenset(identity(entry) for entry in value)
    return (type(value).__name__, canonical_json(value))


def contains_all(values: Values, wanted: Values) -> bool:
    """Say whether every one of `wanted` is among `values`."""
    return {identity(value) for value in wanted} <= {identity(value) for value in values}


def union(one: Values, other: Values) -> Values:
    """Return the values of both, without duplicates, in order."""
    return tuple({identity(value): value for value in (*one, *other)}.values())


def intersection(one: Values, other: Values) -> Values:
    """Return the values of `one` that are also in `other`, in order."""
    kept = {identity(value) for value in other}
    return tuple(value for value in one if identity(value) in kept)


def _merge_equal(superior: Any, subordinate: Any) -> Any:
    if identity(superior) != identity(subordinate) or isinstance(superior, tuple) != isinstance(subordinate, tuple):
        raise PolicyConflict("two superiors demand different values")
    return superior


def _merge_one_of(superior: Values, subordinate: Values) -> Values:
    common = intersection(superior, subordinate)
    if not common:
        raise PolicyConflict("no value is left that every superior allows")
    return common


def _merge_essential(superior: bool, subordinate: bool) -> bool:
    return superior or subordinate


def _apply_value(parameter: Any, value: Any) -> Any:  # noqa: ARG001 - the rule replaces whatever was there
    return ABSENT if value is None else value


def _apply_add(parameter: Any, value: Values) -> Any:
    return union(() if parameter is ABSENT else _as_values(parameter, "add"), value)


def _apply_default(parameter: Any, value: Any) -> Any:
    return value if parameter is ABSENT else parameter


def _apply_one_of(parameter: Any, value: Values) -> Any:
    if parameter is ABSENT:
        return parameter
    if isinstance(parameter, tuple):
        raise PolicyViolation("'one_of' is not defined for an array")
    if identity(parameter) not in {identity(allowed) for allowed in value}:
        raise PolicyViolation("the value is not one of those that are allowed")
    return parameter


def _apply_subset_of(parameter: Any, value: Values) -> Any:
    return parameter if parameter is ABSENT else intersection(_as_values(parameter, "subset_of"), value)


def _apply_superset_of(parameter: Any, value: Values) -> Any:
    if parameter is not ABSENT and not contains_all(_as_values(parameter, "superset_of"), value):
        raise PolicyViolation("a value that is demanded is missing")
    return parameter


def _apply_essential(parameter: Any, value: bool) -> Any:
    if value and parameter is ABSENT:
        raise PolicyViolation("the parameter is essential and missing")
    return parameter


def _as_values(parameter: Any, operator: str) -> Values:
    if not isinstance(parameter, tuple):
        raise PolicyViolation(f"'{operator}' needs an array")
    return parameter


def _is_any(value: Any) -> bool:
    return value is None or not isinstance(value, dict)


def _is_present(value: Any) -> bool:
    return value is not None and not isinstance(value, dict)


def _is_array(value: Any) -> bool:
    """Strings, numbers and objects are what arrays of operators hold (FED-POL-05, -24)."""
    return isinstance(value, tuple) and all(isinstance(entry, _ARRAY_ENTRIES) and not isinstance(entry, bool) for entry in value)


def _is_filled_array(value: Any) -> bool:
    return _is_array(value) and bool(value)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: which values it takes, how two of them merge, what it does to a parameter, and what it may stand beside."""

    name: str
    accepts: Callable[[Any], bool]
    merge: Callable[[Any, Any], Any]
    apply: Callable[[Any, Any], Any]
    beside: frozenset[str]


def _operator(name: str, accepts: Callable[[Any], bool], merge: Any, apply: Any, beside: str) -> Operator:
    return Operator(name, accepts, merge, apply, frozenset(beside.split()))


# In the order in which they are applied (6.1.3.1; FED-POL-09, -12, -14, -17, -20, -22, -25).
OPERATORS: Final[Mapping[str, Operator]] = {
    operator.name: operator
    for operator in (
        _operator("value", _is_any, _merge_equal, _apply_value, "add default one_of subset_of superset_of essential"),
        _operator("add", _is_array, union, _apply_add, "value default subset_of superset_of essential"),
        _operator("default", _is_present, _merge_equal, _apply_default, "value add one_of subset_of superset_of essential"),
        _operator("one_of", _is_filled_array, _merge_one_of, _apply_one_of, "value default essential"),
        _operator("subset_of", _is_array, intersection, _apply_subset_of, "value add default superset_of essential"),
        _operator("superset_of", _is_array, union, _apply_superset_of, "value add default subset_of essential"),
        _operator("essential", _is_boolean, _merge_essential, _apply_essential, "value add default one_of subset_of superset_of"),
    )
}


def check_combination(policy: ParameterPolicy) -> None:
    """Check that the operators of one parameter may stand together (6.1.3.1; FED-POL-10, -13, -15, -18, -21, -23, -26).

    Raises PolicyConflict.
    """
    if len(policy) < 2:
        return
    for name in policy:
        if not policy.keys() - OPERATORS[name].beside <= {name}:
            others = ", ".join(sorted(set(policy) - {name} - OPERATORS[name].beside))
            raise PolicyConflict(f"'{name}' cannot stand beside {others}")
    if "value" in policy:
        _check_beside_value(policy["value"], policy)
    if "subset_of" in policy:
        for name in ("add", "superset_of"):
            if name in policy and not contains_all(policy["subset_of"], policy[name]):
                raise PolicyConflict(f"'{name}' demands what 'subset_of' does not allow")


def _check_beside_value(value: Any, policy: ParameterPolicy) -> None:
    if value is None and ("default" in policy or policy.get("essential")):
        raise PolicyConflict("'value' removes the parameter and another operator wants it")
    values: Values | None = value if isinstance(value, tuple) else None
    checks: dict[str, Callable[[Values], bool]] = {
        "add": lambda wanted: values is not None and contains_all(values, wanted),
        "one_of": lambda allowed: value is not None and values is None and identity(value) in {identity(entry) for entry in allowed},
        "subset_of": lambda allowed: values is not None and contains_all(allowed, values),
        "superset_of": lambda wanted: values is not None and contains_all(values, wanted),
    }
    for name, holds in checks.items():
        if name in policy and not holds(policy[name]):
            raise PolicyConflict(f"'value' and '{name}' contradict each other")
