"""What one resolution may cost (FED-TCR-09; threats.md T01)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResolutionLimits:
    """What one resolution may cost: fetches, seconds, bytes, levels of superiors, hints of one entity, paths on one level, signatures.

    Paths have a limit of their own, because a web of superiors that is in the cache costs no fetch.
    """

    fetches: int = 24
    seconds: float = 8.0
    bytes: int = 1024 * 1024
    depth: int = 6
    hints: int = 10
    paths: int = 100
    signature_checks: int = 64
