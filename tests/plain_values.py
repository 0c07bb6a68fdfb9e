"""Indicators of the demo city worked out apart from the package: what the plant's own table does not hold.

Plain pandas on the source files, areas by pyproj, walks by the plant's search; no operator, formula or catalogue.
"""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from tests.plain_further import further_values
from workbench.samples import truth, truth_walk
from workbench.samples.truth import CITY, SETTLED, geod_area

CODE = "demo"
"""Zone code of the whole city in the value table."""
INSIDE = "9901"
"""First digits of the codes of the demo's districts and units."""
BASE_YEAR = 2019
Cell = tuple[str, str, int]
"""Indicator, zone code, year."""


def every_value(source: Path, *, imagery: bool = True) -> dict[Cell, float]:
    """Each known value of the whole city and of its districts, 2019, 2024 and 2025; those from images where asked for."""
    found = {
        (indicator, zone, int(year)): value
        for indicator, levels in json.loads((source / "truth" / "values.json").read_text("utf-8")).items()
        for zones in levels.values()
        for zone, years in zones.items()
        for year, value in years.items()
        if "@" not in year
    }
    found |= _base_year(source, found)
    for year in (2024, 2025):
        for indicator, values in (
            _further(source, year) | further_values(source, year, imagery=imagery)
        ).items():
            found |= {(indicator, zone, year): value for zone, value in values.items() if np.isfinite(value)}
    return found


def _base_year(source: Path, found: dict[Cell, float]) -> dict[Cell, float]:
    """Values of the base year, by the plant's own functions; the roads have no date, and no line was in force yet."""
    files = truth._Files(source)
    zones = truth._zones(files)
    land, built = truth._land(files, zones, BASE_YEAR)
    parts = land | truth._coverage(files, zones, BASE_YEAR)
    parts["TJ-C01"] = truth._statistic(files, zones, "population_1e4", BASE_YEAR)
    parts["TJ-C03"] = {zone: m2 / 1e6 for zone, m2 in built.items()}
    values = {(i, CODE, BASE_YEAR): by_zone[CITY] for i, by_zone in parts.items() if by_zone[CITY] > 0}
    return values | {("TJ-B10", CODE, BASE_YEAR): found["TJ-B10", CODE, 2025]}


def _further(source: Path, year: int) -> dict[str, pd.Series]:
    table = pd.read_parquet(source / "statistics.parquet")
    table = table[table["year"] == year].sort_values("edition", key=lambda e: e != "original")
    rows = table.groupby(["zone", "item"])["value"].last().unstack().rename(index={CITY: CODE})
    s = {item: rows[item] for item in rows}
    land = gpd.read_parquet(source / f"land_use_{year}.parquet")
    revised = source / f"land_use_{year}_revised.parquet"
    land = gpd.read_parquet(revised) if revised.exists() else land
    m2 = pd.Series(geod_area(land.geometry.to_numpy()))

    def area(codes: tuple[str, ...] = (), attributes: tuple[str, ...] = ()) -> pd.Series:
        mask = np.ones(len(land), dtype=bool)
        if codes:
            mask &= land["dlbm"].isin(codes).to_numpy()
        if attributes:
            mask &= land["czcsxm"].isin(attributes).to_numpy()
        sums = (m2 * mask).groupby(land["district"].to_numpy()).sum()
        return pd.concat([sums, pd.Series({CODE: sums.sum()})])

    found = {
        "TJ-A01": s["water_use_1e8_m3"] * 1e8 / (s["population_1e4"] * 1e4),
        "TJ-A04": s["water_use_1e8_m3"],
        "TJ-B01": s["gdp_1e8_cny"] / s["employed_1e4"],
        "TJ-B02": 100 * s["rd_1e8_cny"] / s["gdp_1e8_cny"],
        "TJ-B03": s["patents"] / s["population_1e4"],
        "TJ-B13": 100 * area(("0701", "0702")) / area(attributes=SETTLED),
        "TJ-C08": 100 * s["population_urban_1e4"] / s["population_1e4"],
        "TJ-C12": area(("0701",)) / (s["population_urban_1e4"] * 1e4),
        "TJ-C13": area(attributes=("203", "203A")) / (s["population_rural_1e4"] * 1e4),
        "TJ-D04": area(("0401", "0402", "0403", "0404")) / 1e6,
        "TJ-D08": s["water_use_1e8_m3"] * 1e8 / (s["gdp_1e8_cny"] * 1e4),
        "TJ-D12": s["industrial_added_value_1e8_cny"] / (area(("0601",)) / 1e6),
        "TJ-E07": s["rail_passengers_1e4"],
        "TJ-E13": s["trade_1e8_cny"],
        "TJ-F07": s["beds_medical"] / (s["population_1e4"] * 10),
        "TJ-F08": s["beds_elderly"] / (s["population_60_1e4"] * 10),
    }
    return found | _trips(source, year) | _urban(source, year)


def _trips(source: Path, year: int) -> dict[str, pd.Series]:
    flows = pd.read_parquet(source / f"od_flows_{year}.parquet")
    both = flows["origin"].str.startswith(INSIDE) & flows["destination"].str.startswith(INSIDE)
    people, minutes = flows.loc[both, "people"], flows.loc[both, "minutes"]
    return {
        "TJ-F01": pd.Series({CODE: (people * minutes).sum() / people.sum()}),
        "TJ-F03": pd.Series({CODE: 100 * people[minutes <= 45].sum() / people.sum()}),
    }


def _urban(source: Path, year: int) -> dict[str, pd.Series]:
    """Values of the 城区: floor area, and people within reach of a football pitch and of open space."""
    files = truth._Files(source)
    zones = truth._zones(files)
    houses, cells = files.read(f"buildings_{year}"), files.read(f"population_{year}")
    shapes, points = houses.geometry.to_numpy(), cells.geometry.to_numpy()
    net, sites = truth_walk.walk_net(files.read("roads")), files.read("facilities")
    pitches = sites.geometry[sites["kind"] == "football"].to_numpy()
    gates = truth_walk.entrances(net, files.read("parks").geometry.to_numpy())
    table = pd.DataFrame(
        {
            "people": cells["population"],
            "pitch": cells["population"] * (truth_walk.walk_m(net, points, pitches) <= 900),
            "green": cells["population"] * (truth_walk.walk_m(net, points, gates) <= 400),
        }
    )
    where = truth._which(zones.inner, points)
    table = table[where >= 0].groupby(np.array(zones.codes)[where[where >= 0]]).sum()
    tree = shapely.STRtree(shapes)
    for code, zone, m2 in zip(zones.codes, zones.inner, zones.inner_area, strict=True):
        if m2 > 0:
            hits = tree.query(zone, predicate="intersects")
            parts = geod_area(shapely.intersection(shapes[hits], zone))
            table.loc[code, "floor"] = (parts * houses["floors"].to_numpy()[hits]).sum()
    table.loc[CODE] = table.sum()
    return {
        "TJ-C10": table["floor"] / 1e8,
        "TJ-F22": 100 * table["pitch"] / table["people"],
        "SDG-11.7.1b": 100 * table["green"] / table["people"],
    }
