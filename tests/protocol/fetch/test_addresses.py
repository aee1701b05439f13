"""The address table, each side of every boundary, and what hides an IPv4 address in an IPv6 one (F07)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.fetch.addresses import DENIED_IPV4, DENIED_IPV6, why_denied

pytestmark = pytest.mark.threat("F07")


def _words(text: str) -> list[str]:
    return text.split()


# Written by hand, not read from the table: a row that is lost or too narrow fails here.
DENIED = _words(
    """
    0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 100.100.100.200 127.0.0.0 127.0.0.1
    127.255.255.255 169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0
    192.0.0.9 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.255 192.31.196.0 192.31.196.255 192.52.193.0 192.52.193.255
    192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255 192.175.48.0 192.175.48.255 198.18.0.0 198.19.255.255
    198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 224.0.0.0 224.0.0.1 239.255.255.255 240.0.0.0
    255.255.255.254 255.255.255.255 168.63.129.16 :: ::1 ::2 ::7f00:1 ::169.254.169.254 ::8.8.8.8 ::ffff:0:0
    ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:255.255.255.255 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::127.0.0.1
    64:ff9b::169.254.169.254 64:ff9b::10.0.0.1 64:ff9b:0:0:0:1:808:808 64:ff9b:1:: 64:ff9b:1::a9fe:a9fe
    64:ff9b:1::808:808 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 100::ffff:ffff:ffff:ffff 100:0:0:1::
    100:0:0:1:ffff:ffff:ffff:ffff 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:: 2001:0:808:808:: 2001:1::1 2001:2::1
    2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8::
    2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:a9fe:a9fe:: 2002:808:808::1
    2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2620:4f:8000:: 2620:4f:8000:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff::1
    3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 4000:: 5f00:: 5f00::1 5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff 8000::1
    fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fc00:: fd00::1 fd00:ec2::254 fd20:ce::254
    fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe00:: fe80:: fe80::1 febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0::
    fec0::1 feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ff00:: ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    2a00:1450::5efe:127.0.0.1 2a00:1450::200:5efe:10.0.0.1 2a00:1450:1:2:0:5efe:a9fe:a9fe
    """
)

OPEN = _words(
    """
    1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
    168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255
    192.0.3.0 192.31.195.255 192.31.197.0 192.52.192.255 192.52.194.0 192.88.98.255 192.88.100.0 192.167.255.255
    192.169.0.0 192.175.47.255 192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255
    203.0.114.0 223.255.255.255 64:ff9b::8.8.8.8 64:ff9b::1.1.1.1 2000:: 2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    2001:200:: 2001:4860:4860::8888 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::
    2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003:: 2606:4700::1111 2620:4f:7fff:ffff:ffff:ffff:ffff:ffff
    2620:4f:8001:: 2a00:1450::1 2a00:1450::5efe:8.8.8.8 3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000::
    3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    """
)


def test_the_lists_are_long_enough_to_mean_something():
    assert len(set(DENIED)) + len(set(OPEN)) >= 120


@pytest.mark.parametrize("text", DENIED)
def test_a_special_address_is_denied(text):
    assert why_denied(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OPEN)
def test_a_public_address_is_open(text):
    assert why_denied(ipaddress.ip_address(text)) is None


@pytest.mark.parametrize("row", [*DENIED_IPV4, *DENIED_IPV6], ids=lambda row: str(row.network))
def test_every_row_is_denied_from_its_first_to_its_last_address(row):
    assert why_denied(row.network[0])
    assert why_denied(row.network[-1])


def _embeddings(address: ipaddress.IPv4Address) -> dict[str, ipaddress.IPv6Address]:
    number = int(address)
    return {
        "mapped": ipaddress.IPv6Address(0xFFFF << 32 | number),
        "compatible": ipaddress.IPv6Address(number),
        "translated": ipaddress.IPv6Address(0xFFFF << 48 | number),
        "6to4": ipaddress.IPv6Address(0x2002 << 112 | number << 80),
        "nat64": ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        "local nat64": ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b:1::")) | number),
        "teredo": ipaddress.IPv6Address(0x20010000 << 96 | (number ^ 0xFFFFFFFF)),
        "isatap": ipaddress.IPv6Address(int(ipaddress.IPv6Address("2a00:1450::5efe:0:0")) | number),
        "isatap, universal": ipaddress.IPv6Address(int(ipaddress.IPv6Address("2a00:1450::200:5efe:0:0")) | number),
    }


@given(st.sampled_from(DENIED_IPV4), st.integers(min_value=0))
def test_a_denied_ipv4_address_is_denied_in_every_embedding(row, offset):
    address = row.network[offset % row.network.num_addresses]
    opened = [name for name, embedded in _embeddings(address).items() if not why_denied(embedded)]
    assert opened == []


@given(st.ip_addresses())
def test_the_private_exception_never_denies_more_and_opens_only_private_rows(address):
    if why_denied(address) is None:
        assert why_denied(address, allow_private=True) is None


@pytest.mark.parametrize("text", ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"])
def test_a_private_address_is_open_to_a_host_that_the_operator_named(text):
    assert why_denied(ipaddress.ip_address(text), allow_private=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "::",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::",
    ],
)
def test_metadata_and_link_local_addresses_stay_closed_even_then(text):
    assert why_denied(ipaddress.ip_address(text), allow_private=True)


@pytest.mark.parametrize("text", ["8.8.8.8", "64:ff9b::8.8.8.8", "2a00:1450::5efe:8.8.8.8"])
def test_the_operator_can_deny_more(text):
    extra = (ipaddress.ip_network("8.8.8.0/24"),)
    assert why_denied(ipaddress.ip_address(text), extra=extra, allow_private=True) == "denied by the operator"
    assert why_denied(ipaddress.ip_address("8.8.4.4"), extra=extra) is None


def test_an_address_with_a_zone_is_denied():
    assert why_denied(ipaddress.ip_address("2a00:1450::1%eth0"))
