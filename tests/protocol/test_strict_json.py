"""J12, J13 and J14: a value or InvalidJson, nothing else; and one reading of every document."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import InvalidJson
from protocol.strict_json import _check_shape, canonical_json, parse_json_object, parse_strict_json, quotable

ROOM = 1_000_000


def reason_of(data: bytes | str, **limits: int) -> str:
    """Return why a text is refused, and fail when it is read."""
    with pytest.raises(InvalidJson) as caught:
        parse_strict_json(data, **({"max_bytes": ROOM} | limits))
    return caught.value.reason


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def values_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(values_of, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(values_of, value))
    return 1


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
NUMBERS = st.integers(-(10**20) + 1, 10**20 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=15,
)
# Pieces that are dangerous beside each other: quotes, escapes, brackets, halves of pairs.
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b'"',
                b"\\",
                b"\\u",
                b"\\ud83d",
                b"\\ude00",
                b"\\u0000",
                b"[",
                b"]",
                b"{",
                b"}",
                b":",
                b",",
                b"1",
                b"e9",
                b"-",
                b".",
            ),
            *(b'"a"', b'"a":1', b"NaN", b"null", b" ", b"\n", b"\0", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3\xa9", b"9" * 21),
            *(b"[" * 40, b'{"a":' * 15, b'\\"', b"\\\\"),
        ]
    ),
    max_size=30,
).map(b"".join)


@pytest.mark.threat("J12")
@settings(max_examples=400, deadline=None)
@given(st.one_of(PIECES, st.binary(max_size=80), st.text(max_size=80)))
def test_any_input_is_read_or_refused_with_one_error(data: bytes | str) -> None:
    try:
        value = parse_strict_json(data, max_bytes=ROOM)
    except InvalidJson as error:
        refused_for = (error.reason, error.description)
    else:
        refused_for = None
        assert value == json.loads(data)
        assert depth_of(value) <= 12
    assert refused_for is None or (all(refused_for) and refused_for[1].isascii())


@pytest.mark.threat("J12")
@settings(max_examples=100, deadline=None)
@given(JSON_VALUES, st.sampled_from([{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}]))
def test_what_any_writer_writes_is_read_back(value: Any, style: dict[str, Any]) -> None:
    text = json.dumps(value, **style)
    assert parse_strict_json(text, max_bytes=ROOM, max_depth=30) == value
    assert parse_strict_json(text.encode(), max_bytes=ROOM, max_depth=30) == value


@pytest.mark.threat("J12")
@settings(max_examples=100, deadline=None)
@given(JSON_VALUES)
def test_depth_and_number_of_values_are_counted_exactly(value: Any) -> None:
    text, depth = json.dumps(value), depth_of(value)
    assert parse_strict_json(text, max_bytes=ROOM, max_depth=depth) == value
    if depth:
        assert reason_of(text, max_depth=depth - 1) == "too_deep"
    assert reason_of(text, max_nodes=0) in {"too_many_values", "number"}
    # An empty object or array counts as one value more than it is, so the limit may only ever be stricter.
    assert parse_strict_json(text, max_bytes=ROOM, max_depth=depth, max_nodes=2 * values_of(value)) == value


@pytest.mark.threat("J12")
@pytest.mark.parametrize("text", ["[", "]", "{", '{"a":', "[{", "[[]", "[]]", '["', "{}[", "[1,", '[{"a":[', "[],["])
def test_deep_nesting_never_reaches_the_parser(text: str) -> None:
    """`json.loads` would end in RecursionError, which is no ValueError."""
    for repeat in (14, 100, 5000, 100_000):
        assert reason_of(text * repeat) in {"too_deep", "syntax", "too_many_values"}


@pytest.mark.threat("J12")
@pytest.mark.parametrize("opener", ["[", '{"a":'])
def test_the_depth_limit_holds_to_the_level(opener: str) -> None:
    closer = "]" if opener == "[" else "}"
    for limit in (1, 4, 12, 16):
        assert parse_strict_json(opener * limit + "1" + closer * limit, max_bytes=ROOM, max_depth=limit)
        assert reason_of(opener * (limit + 1) + "1" + closer * (limit + 1), max_depth=limit) == "too_deep"
    assert reason_of("[]", max_depth=0) == "too_deep"
    assert parse_strict_json("1", max_bytes=ROOM, max_depth=0) == 1


@pytest.mark.threat("J12")
@pytest.mark.parametrize(
    "text",
    [
        '["[[[[[[[[[[[[[[[[[[[["]',
        '["\\"[[[[[[[[[[[[[[[[[[["]',
        '["\\\\", "[[[[[[[[[[[[[[[[["]',
        '["\\\\\\"[[[[[[[[[[[[[[[["]',
        '{"[[[[[[[[[[[[[[[[[[": "{{{{{{{{{{{{{{{{{"}',
        '["]]]]]]]]]]]]]]]]]]]]", "NaN", "11111111111111111111111111"]',
    ],
)
def test_brackets_and_digits_inside_of_strings_are_not_structure(text: str) -> None:
    assert parse_strict_json(text, max_bytes=ROOM) == json.loads(text)


@pytest.mark.threat("J12")
@pytest.mark.parametrize("text", ['["\\\\", [[[[1]]]]]', '["\\\\\\\\", [[[[1]]]]]', '["a\\"", [[[[1]]]], "\\""]'])
def test_strings_that_end_in_backslashes_do_not_hide_structure(text: str) -> None:
    assert json.loads(text)
    assert reason_of(text, max_depth=4) == "too_deep"


@pytest.mark.threat("J12")
def test_a_recursion_error_of_the_parser_is_the_same_error() -> None:
    """Even a caller that allows absurd depth gets no RecursionError."""
    text = "[" * 5000 + "]" * 5000
    with pytest.raises(RecursionError):
        json.loads(text)
    assert reason_of(text, max_depth=5001, max_nodes=5001) == "syntax"


@pytest.mark.threat("J12")
def test_the_size_limit_counts_bytes_not_characters() -> None:
    text = json.dumps("\u00e9" * 10, ensure_ascii=False)
    assert parse_strict_json(text, max_bytes=22) == "\u00e9" * 10
    assert reason_of(text, max_bytes=21) == "too_large"
    assert reason_of(text.encode(), max_bytes=21) == "too_large"
    assert reason_of(b" " * 100, max_bytes=99) == "too_large"


@pytest.mark.threat("J12")
def test_the_limit_of_values_holds() -> None:
    assert len(parse_strict_json(json.dumps([1] * 4998), max_bytes=ROOM)) == 4998
    for text in (json.dumps([1] * 5000), json.dumps([[]] * 5000), json.dumps({str(number): 1 for number in range(5000)})):
        assert reason_of(text) == "too_many_values"


@pytest.mark.threat("J12")
@pytest.mark.parametrize(
    "write",
    [
        lambda: json.dumps([{"kid": str(number), "n": [number, 1.5]} for number in range(1200)]),
        lambda: json.dumps(['\u00e9"\\\U0001f600' * 20] * 120),
        lambda: json.dumps(list(range(4900))),
        lambda: "[" * 60_000,
        lambda: '"' * 60_000,
        lambda: "\\" * 60_000,
        lambda: '["' + "\\ud83d\\ude00" * 4990 + '"]',
        lambda: "[]," * 20_000,
        lambda: "1" * 60_000,
    ],
)
def test_sixty_kilobytes_are_looked_over_quickly(write: Callable[[], str]) -> None:
    """The pre-scan took 2 ms in a first draft; here with room for a busy machine, and the best of five."""
    data, times = write().encode()[:61_440], []
    for _ in range(5):
        started = time.process_time()
        with suppress(InvalidJson):
            _check_shape(data, 12, 5000)
        times.append(time.process_time() - started)
    assert min(times) < 0.01


@pytest.mark.threat("J13")
@pytest.mark.spec("FED-JOS-10")
@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"b":2,"a":3}',
        '{"a":{"b":1,"b":2}}',
        '[[{"a":[{"b":null,"b":null}]}]]',
        '{"a":1,"\\u0061":2}',
        '{"\u00e9":1,"\\u00e9":2}',
        '{"":1,"":2}',
        '{"jwks":{"keys":[{"kty":"EC","kty":"RSA"}]}}',
        '{"metadata_policy":{"openid_relying_party":{"scope":{"one_of":["a"],"one_of":["b"]}}}}',
        '{"redirect_uris":["https://a.example"],"redirect_uris":["https://b.example"]}',
        '{"a":{},"b":[{"c":1}],"d":{"e":{"f":{"g":1,"g":1}}}}',
    ],
)
def test_a_member_that_occurs_twice_is_refused_at_every_depth(text: str) -> None:
    assert reason_of(text) == "duplicate"


@pytest.mark.threat("J13")
@settings(max_examples=50, deadline=None)
@given(st.dictionaries(TEXTS, JSON_VALUES, min_size=1, max_size=3), st.integers(0, 10), st.data())
def test_a_repeated_member_is_found_wherever_it_hides(members: dict[str, Any], depth: int, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(members)))
    pairs = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in members.items()]
    pairs.insert(data.draw(st.integers(0, len(pairs))), f"{json.dumps(name, ensure_ascii=False)}:0")
    text = '{"x":[' * depth + "{" + ",".join(pairs) + "}" + "]}" * depth
    assert reason_of(text, max_depth=60) == "duplicate"


@pytest.mark.threat("J13")
def test_the_same_name_in_two_objects_is_fine() -> None:
    assert parse_strict_json('[{"a":1},{"a":2},{"b":{"a":3}}]', max_bytes=ROOM) == [{"a": 1}, {"a": 2}, {"b": {"a": 3}}]
    assert parse_strict_json('{"a":1,"A":2," a":3,"\u00e9":4,"e\u0301":5}', max_bytes=ROOM) | {} != {}


@pytest.mark.threat("J14")
@pytest.mark.spec("FED-JOS-10")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "constant"),
        ("Infinity", "constant"),
        ("-Infinity", "constant"),
        ('{"exp":NaN}', "constant"),
        ("[1,[-Infinity]]", "constant"),
        ("1e999", "number"),
        ("-1e999", "number"),
        ("1.0E400", "number"),
        ("[0,{}]".replace("{}", "9" * 310 + ".5"), "number"),
        ("9" * 21, "number"),
        ("-" + "9" * 21, "number"),
        ("1" + "0" * 5000, "number"),
        ("0.5e" + "9" * 21, "number"),
        ("nan", "syntax"),
        ("+1", "syntax"),
        ("01", "syntax"),
        ("1.", "syntax"),
        (".5", "syntax"),
        ("0x10", "syntax"),
        ("1_000", "syntax"),
        ("\u0661", "syntax"),
    ],
)
def test_numbers_that_two_parsers_read_differently_are_refused(text: str, reason: str) -> None:
    assert reason_of(text) == reason


@pytest.mark.threat("J14")
def test_ordinary_numbers_are_read() -> None:
    text = "[0,-0,1,99999999999999999999,-99999999999999999999,1.5,1e3,1E-400,1.7976931348623157e308]"
    assert all(math.isfinite(number) for number in parse_strict_json(text, max_bytes=ROOM))


@pytest.mark.threat("J12")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        ("\ufeff{}", "byte_order_mark"),
        (b'"\xff"', "encoding"),
        (b'"\xc0\x80"', "encoding"),
        (b'"\xed\xa0\x80"', "encoding"),
        (b'"\xf4\x90\x80\x80"', "encoding"),
        (b'"\xe2\x82"', "encoding"),
        ('"\ud800"', "surrogate"),
        ('"\\ud800"', "surrogate"),
        ('"\\uDC00"', "surrogate"),
        ('"\\udc00\\ud800"', "surrogate"),
        ('"\\ud800\\ud800\\udc00"', "surrogate"),
        ('"\\ud83d \\ude00"', "surrogate"),
        ('{"\\udfff":1}', "surrogate"),
        ('"\\\\\\ud800"', "surrogate"),
        (b'"a\0b"', "nul"),
        (b"{}\0", "nul"),
        ('"\\u0000"', "nul"),
        ('{"a\\u0000":1}', "nul"),
        ('"\\\\\\u0000"', "nul"),
        ("{}".encode("utf-16"), "nul"),
        ("{}".encode("utf-32-be"), "nul"),
        (b'"\x1f"', "syntax"),
        (b'"a\nb"', "syntax"),
        ("", "syntax"),
        (" ", "syntax"),
        ("{}{}", "syntax"),
        ("{} //", "syntax"),
        ("/* */ {}", "syntax"),
        ("{'a':1}", "syntax"),
        ("{a:1}", "syntax"),
        ("[1,]", "syntax"),
        ('{"a":1,}', "syntax"),
        ("[1 2]", "syntax"),
        ('["\\x41"]', "syntax"),
        ('["\\u00g0"]', "syntax"),
        ('["a', "syntax"),
        ("\u00a0{}", "syntax"),
        ("\v{}", "syntax"),
        ("True", "syntax"),
    ],
)
def test_text_that_is_not_strict_json_is_refused_with_its_reason(data: bytes | str, reason: str) -> None:
    assert reason_of(data) == reason


@pytest.mark.threat("J12")
@pytest.mark.parametrize("text", ['"\\\\u0000"', '"\\\\ud800"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00x\\u00e9"', '"\\u0001"', '"\ufeff"'])
def test_harmless_escapes_are_read(text: str) -> None:
    assert parse_strict_json(text, max_bytes=ROOM) == json.loads(text)


def test_an_object_is_told_from_other_json() -> None:
    assert parse_json_object(b' {"a":[1]} ', max_bytes=100) == {"a": [1]}
    for text in ("[]", "1", '"x"', "null", "true", "[{}]"):
        with pytest.raises(InvalidJson) as caught:
            parse_json_object(text, max_bytes=100)
        assert caught.value.reason == "not_object"


def test_the_error_carries_nothing_of_a_hostile_text() -> None:
    for text in (
        '{"<script>":1,"<script>":2}',
        '{"a\\nb":1,"a\\nb":2}',
        '{"' + "x" * 500 + '":1,"' + "x" * 500 + '":2}',
        "<script>",
    ):
        with pytest.raises(InvalidJson) as caught:
            parse_strict_json(text, max_bytes=ROOM)
        assert "script" not in caught.value.description
        assert len(caught.value.description) < 120
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_plain_name_is_quoted_and_another_is_not() -> None:
    assert quotable("redirect_uris") == "'redirect_uris'"
    for name in ("a b", "", "x" * 65, "\u00e9", None, 1, "a'b"):
        assert quotable(name) == "with an unusual name"


@settings(max_examples=50, deadline=None)
@given(JSON_VALUES)
def test_canonical_json_depends_on_content_only(value: Any) -> None:
    written = canonical_json(value)
    assert canonical_json(json.loads(json.dumps(value))) == written
    assert parse_strict_json(written, max_bytes=ROOM, max_depth=30) == value


def test_canonical_json_sorts_names_and_has_no_whitespace() -> None:
    assert canonical_json({"b": [1, {"d": None, "c": "\u00e9"}], "a": True}) == '{"a":true,"b":[1,{"c":"\u00e9","d":null}]}'.encode()
    assert canonical_json({"a": 1}) != canonical_json({"a": "1"})


def test_canonical_json_refuses_what_is_not_json() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in (float("nan"), float("inf"), {"a": {1, 2}}, b"x", "\ud800", endless, {1: 1, "1": 2}, object()):
        with pytest.raises(InvalidJson):
            canonical_json(value)
