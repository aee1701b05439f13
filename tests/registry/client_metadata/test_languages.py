"""Human-readable members in several languages (RFC 7591, 2.2)."""

from __future__ import annotations

import pytest

from registry.client_metadata.fields import LOCALIZABLE, READERS
from tests.registry.support import errors, machine, read

GOOD = {"client_name": "予約", "client_uri": "https://example.org/ja", "logo_uri": "https://example.org/ja.png"}
GOOD |= {"tos_uri": "https://example.org/ja/tos", "policy_uri": "https://example.org/ja/policy"}
BAD = {
    "client_name": "x\u202ey",
    "client_uri": "http://example.org/",
    "logo_uri": "data:image/png,x",
    "tos_uri": "javascript:x",
    "policy_uri": 5,
}


@pytest.mark.spec("DCR-LANG-01", "DCR-LANG-05")
@pytest.mark.parametrize("tag", ["ja", "ja-Kana-JP", "DE-ch-1996", "zh-Hant-TW", "sl-rozaj-biske-1994", "en-a-bbb-x-a-ccc"])
@pytest.mark.parametrize("member", LOCALIZABLE)
def test_a_human_readable_member_may_carry_a_language_and_is_registered_as_given(member, tag):
    name = f"{member}#{tag}"
    reading = read(machine(**{name: GOOD[member]}))
    assert reading.errors == ()
    assert reading.metadata[name] == GOOD[member]


@pytest.mark.spec("DCR-LANG-01")
@pytest.mark.threat("R06", "R07", "O04")
@pytest.mark.parametrize("member", LOCALIZABLE)
def test_a_tagged_member_is_checked_like_the_untagged_one(member):
    tagged, plain = read(machine(**{f"{member}#de": BAD[member]})), read(machine(**{member: BAD[member]}))
    assert [error.code for error in tagged.errors] == [error.code for error in plain.errors] != []
    assert f"{member}#de" not in tagged.metadata


@pytest.mark.spec("DCR-LANG-02")
@pytest.mark.parametrize(
    "tag", ["", "d", "deutschland", "de_DE", "de-", "-de", "de--DE", "de DE", "de#fr", "d\u00e9", "de\n", "12", "x" * 36, "de-" + "a" * 9]
)
def test_a_tag_that_is_not_one_of_bcp_47_is_refused(tag):
    assert [code for _, code in errors(machine(**{f"client_name#{tag}": "Bookings"}))] == ["language.tag"]


@pytest.mark.spec("DCR-LANG-02")
def test_one_language_twice_in_another_case_is_refused():
    assert [code for _, code in errors(machine(**{"client_name#de-CH": "A", "client_name#DE-ch": "B"}))] == ["language.twice"]
    assert errors(machine(**{"client_name#de": "A", "client_uri#DE": "https://example.org/"})) == set()


@pytest.mark.spec("DCR-LANG-02")
def test_a_member_has_at_most_twenty_languages():
    names = {f"client_name#x{chr(97 + number)}": "A" for number in range(21)}
    assert errors(machine(**names)) == {("client_name", "language.too_many")}
    names.popitem()
    assert errors(machine(**names)) == set()


@pytest.mark.spec("DCR-LANG-03")
def test_no_untagged_value_is_invented():
    metadata = read(machine(client_name=..., **{"client_name#de": "Buchungen"})).metadata
    assert "client_name" not in metadata
    assert metadata["client_name#de"] == "Buchungen"


@pytest.mark.spec("DCR-LANG-04")
@pytest.mark.parametrize("member", [member for member in READERS if member not in LOCALIZABLE])
def test_a_language_on_a_member_for_machines_makes_it_unknown(member):
    assert read(machine(**{f"{member}#fr": ["anything"]})) == read(machine())


@pytest.mark.spec("DCR-LANG-01", "DCR-META-02")
@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_tagged_member_counts_as_absent(nothing):
    assert read(machine(**{"client_name#de": nothing})) == read(machine())
