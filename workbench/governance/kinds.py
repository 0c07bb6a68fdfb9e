"""Kinds of checks by the names packs use."""

from __future__ import annotations

from collections.abc import Callable

from workbench.governance import attributes, topology
from workbench.governance.layers import Layer, Outcome
from workbench.governance.packs import Check

Kind = Callable[[Layer, Check], Outcome]

KINDS: dict[str, Kind] = {
    "present": attributes.present,
    "missing_values": attributes.missing_values,
    "from_reading": attributes.from_reading,
    "repeated_keys": attributes.repeated_keys,
    "domain": attributes.domain,
    "stated_area": attributes.stated_area,
    "stated_zone": attributes.stated_zone,
    "parts_of_whole": attributes.parts_of_whole,
    "sum_of_zones": attributes.sum_of_zones,
    "known_zones": attributes.known_zones,
    "figure_of_map": attributes.figure_of_map,
    "duplicates": topology.duplicates,
    "overlaps": topology.overlaps,
    "gaps": topology.gaps,
    "slivers": topology.slivers,
    "outside": topology.outside,
    "displaced": topology.displaced,
}
"""Kind -> the function that looks for it."""
CONSEQUENCES: dict[str, tuple[str, ...]] = {"displaced": ("outside", "stated_zone")}
"""Kind -> kinds that say nothing of a layer when it has found something: one cause is told once."""
