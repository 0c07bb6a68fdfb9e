"""Walking and cycling networks with the homes on them, and how far each kind of facility is from every home."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from workbench.core.errors import DataQualityError
from workbench.evaluation.life_circle.homes import Homes
from workbench.evaluation.life_circle.settings import Facility, Settings
from workbench.operators.access import polygon_access_points, snapped_distance
from workbench.operators.area import area_m2
from workbench.operators.graph import Graph, Snapped, build_graph, snap

Floats = npt.NDArray[np.float64]
MODES = ("walk", "cycle")


@dataclass(frozen=True, eq=False)
class Places:
    """The facilities of a kind as points people go to."""

    facility: Facility
    """Definition of the kind."""
    frame: gpd.GeoDataFrame
    """``place`` (id), ``name``, ``amount`` (capacity, nan when not stated), points; of polygons, their entrances."""
    reason: str = ""
    """Why there is none."""


@dataclass(eq=False)
class Networks:
    """Graphs by mode, homes on them, speeds."""

    graphs: dict[str, Graph]
    """Graph of each mode there is."""
    speed: dict[str, float]
    """Metres a minute of each mode."""
    homes: Homes
    """Who lives where."""
    loose_m: float = 0.0
    """Metres of walkable road left out, in parts too short to be a network."""
    at: dict[str, Snapped] = field(default_factory=dict)
    """Where the homes meet each graph."""

    def __post_init__(self) -> None:
        """Find the homes on each graph."""
        self.at = {mode: snap(graph, self.homes.points) for mode, graph in self.graphs.items()}

    def metres(self, mode: str, places: Places) -> Floats:
        """Metres from each home to the nearest of the places by a mode; inf when none is reached."""
        graph = self.graphs[mode]
        return snapped_distance(graph, snap(graph, places.frame.geometry), self.at[mode])

    def straight(self, places: Places) -> Floats:
        """Metres from each home to the nearest of the places as the crow flies."""
        here = shapely.get_coordinates(self.homes.points.to_numpy())
        there = shapely.get_coordinates(places.frame.geometry.to_numpy())
        if not len(there):
            return np.full(len(here), np.inf)
        return np.asarray(cKDTree(there).query(here)[0], dtype=np.float64)


def networks_of(city: Any, data: Any, homes: Homes, settings: Settings) -> Networks:
    """Walking network of the walkable roads, cycling network of the road classes the settings name.

    Raises
    ------
    LayerMissing
        When the city has no roads.
    """
    roads = data.vector("roads")
    shortest = settings.parameters.min_part_m
    graphs = {"walk": build_graph(roads, walk=True, min_part_m=shortest)}
    cycled = roads[roads["road_class"].isin(list(settings.parameters.cycling_classes))]
    if len(cycled):
        try:
            graphs["cycle"] = build_graph(cycled, walk=False, min_part_m=shortest)
        except DataQualityError:  # none of the lines has a length
            graphs.pop("cycle", None)
    speed = {"walk": city.walking_m_per_min, "cycle": settings.parameters.cycling_m_per_min}
    whole = float(
        shapely.length(roads.geometry[roads["walkable"].fillna(False).astype(bool)].to_numpy()).sum()
    )
    return Networks(graphs, speed, homes, whole - float(graphs["walk"].edge_length.sum()))


def places_of(data: Any, year: int, facility: Facility, graph: Graph, settings: Settings) -> Places:
    """Facilities of a kind in the city's layers."""
    dated = year if data.years(facility.role) else None
    empty = gpd.GeoDataFrame({"place": [], "name": [], "amount": []}, geometry=[], crs=graph.crs)
    if not data.has(facility.role, dated):
        return Places(facility, empty, "no_layer")
    layer = data.vector(facility.role, dated)
    if "kind" in layer and facility.role == "facilities":
        layer = layer[layer["kind"] == facility.kind].reset_index(drop=True)
    if facility.min_area_m2 and len(layer):
        layer = layer[area_m2(layer.geometry, layer.crs) >= facility.min_area_m2].reset_index(drop=True)
    if layer.empty:
        return Places(facility, empty, "no_kind")
    ids = next((name for name in layer if name.endswith("_id")), None)
    name = layer["name"].fillna("").astype(str) if "name" in layer else pd.Series("", index=layer.index)
    table = gpd.GeoDataFrame(
        {
            "place": layer[ids].astype(str) if ids else (layer.index + 1).astype(str),
            "name": name,
            "amount": pd.to_numeric(layer["capacity"], errors="coerce") if "capacity" in layer else np.nan,
        },
        geometry=layer.geometry,
        crs=layer.crs,
    )
    if shapely.get_type_id(table.geometry.to_numpy()).max() >= 3:
        gates = polygon_access_points(graph, table, tolerance_m=settings.parameters.gate_m)
        whole = table.loc[gates["polygon"]].reset_index(drop=True)
        return Places(facility, whole.set_geometry(gates.geometry.array, crs=gates.crs))
    return Places(facility, table)
