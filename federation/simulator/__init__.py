"""A programmable federation: topologies, key rollover, trust marks and faults, behind the fetcher interface or over real TLS on loopback.

Built on `federation.core` only. Tests, the demo and operators use it; entity identifiers are real https URLs that exist nowhere.
"""

from federation.simulator.relying_party import SimulatedRelyingParty
from federation.simulator.world import Fault, SimulatedEntity, SimulatedFederation

__all__ = ["Fault", "SimulatedEntity", "SimulatedFederation", "SimulatedRelyingParty"]
