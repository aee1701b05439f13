"""What holds for every document: nothing is raised, and what was read reads the same again."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.client_metadata import error_for_findings, known_members
from registry.client_metadata.fields import LOCALIZABLE, NOT_OFFERED, READERS
from tests.registry.support import documents, json_values, machine, read

MEMBERS = [*READERS, *NOT_OFFERED, *(f"{member}#de" for member in LOCALIZABLE), "client_name#", "client_name#\ud800", "unheard_of"]


@pytest.mark.spec("DCR-META-07", "DCR-META-06")
@example({"redirect_uris": [1] * 51}, True)
@example({"jwks": float("nan"), "contacts": [[]]}, True)
@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(MEMBERS), json_values | json_values.map(lambda value: [value] * 51), max_size=4), st.booleans())
def test_whatever_the_document_holds_reading_finds_instead_of_raising(document, loopback):
    reading = read(document, loopback=loopback)
    if reading.errors:
        error = error_for_findings(reading.errors)
        assert error.code in ("invalid_redirect_uri", "invalid_client_metadata")
        assert error.members


@pytest.mark.spec("DCR-META-01", "DCR-META-05")
@given(documents)
def test_only_members_this_server_knows_are_read_or_kept(document):
    known = {*READERS, *(name for name in document if name.partition("#")[0] in LOCALIZABLE)}
    assert read(document).metadata.keys() <= known
    assert known_members(document).keys() <= known


@pytest.mark.spec("DCR-META-04", "DCR-META-23")
@settings(max_examples=200)
@given(documents, st.booleans())
def test_what_was_read_reads_the_same_again(document, loopback):
    first = read(document, loopback=loopback)
    if not first.errors:
        again = read(first.metadata, loopback=loopback)
        assert again.errors == ()
        assert again.metadata == first.metadata


@given(st.text(st.characters(), max_size=300))
def test_a_name_that_was_read_reads_the_same_again_and_fits_its_column(name):
    first = read(machine(client_name=name))
    if not first.errors:
        assert len(first.metadata.get("client_name", "")) <= 255
        assert read(first.metadata).metadata == first.metadata
