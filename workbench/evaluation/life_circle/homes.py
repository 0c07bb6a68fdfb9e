"""Who lives where: people of each age group at points, and the zones the points lie in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import csr_array

from workbench.catalog.published import scope_of
from workbench.evaluation.life_circle.settings import AGES, EVERYONE, Settings
from workbench.operators.area import area_m2

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Homes:
    """Places people live at inside the scope, and how they add up to zones."""

    frame: gpd.GeoDataFrame
    """``cell_id``, ``all`` and the age groups there are (people, or square metres of building), points."""
    ages: tuple[str, ...]
    """``all`` and the age groups that are known."""
    basis: str
    """``population``, or ``buildings`` where there is no population: footprint stands in for people."""
    zones: pd.DataFrame
    """Zones in order, the city first: ``level, zone, zone_name``."""
    member: csr_array
    """Zones × homes: 1 where a home lies in a zone."""
    findings: list[dict[str, Any]] = field(default_factory=list)
    """What is wrong with the data."""

    @property
    def points(self) -> gpd.GeoSeries:
        """Where the homes are."""
        return self.frame.geometry

    def people(self, age: str = EVERYONE) -> Floats:
        """People of an age group at each home; of all ages where the group is not known."""
        name = age if age in self.ages else EVERYONE
        people: Floats = self.frame[name].to_numpy(dtype=np.float64)
        return people

    def by_zone(self, amounts: Floats) -> Floats:
        """Sum over the homes in each zone of amounts (homes,) or (homes, kinds)."""
        return np.asarray(self.member @ amounts, dtype=np.float64)

    def overlap(self) -> bool:
        """Whether homes lie in several zones of the first level below the city."""
        below = self.zones.loc[self.zones["level"] != "city", "level"]
        if not len(below):
            return False
        first = self.zones.index[self.zones["level"] == below.iloc[0]].to_numpy()
        return bool(self.member[first].sum(axis=0).max(initial=0.0) > 1)

    def group(self) -> npt.NDArray[np.object_]:
        """Zone of the first level below the city that each home lies in; empty where in none."""
        below = self.zones.loc[self.zones["level"] != "city", "level"]
        label = np.full(len(self.frame), "", dtype=object)
        if len(below):
            for row in self.zones.index[self.zones["level"] == below.iloc[0]][::-1]:
                label[self.member.indices[self.member.indptr[row] : self.member.indptr[row + 1]]] = (
                    self.zones.at[row, "zone"]
                )
        return label


def homes_of(city: Any, data: Any, year: int, settings: Settings) -> Homes:
    """Where people live, from population cells, else from buildings.

    Raises
    ------
    LayerMissing
        When the city has neither for the year.
    """
    findings: list[dict[str, Any]] = []
    frame, ages, basis = _people(data, year, settings, findings)
    scope = _scope(data, year, settings, findings)
    if scope is not None:
        shapely.prepare(scope)
        inside = shapely.intersects(scope, frame.geometry.to_numpy())
        frame = frame[inside].reset_index(drop=True)
    zones, member = _zones(city, data, frame)
    return Homes(frame, ages, basis, zones, member, findings)


def _scope(data: Any, year: int, settings: Settings, findings: list[dict[str, Any]]) -> Any:
    name = settings.parameters.scope
    if not name:
        return None
    found = scope_of(data, name, year)
    if found is None:
        findings.append(
            _finding(
                "no_scope",
                f"没有划定{name}，按全部范围计算",
                f"the range {name} is not delimited: everybody counts",
            )
        )
        return None
    if found[1]:
        zh, en = (
            f"没有划定{name}，以变更调查推算的范围代替",
            f"the range {name} is not delimited: told from the survey",
        )
        findings.append(_finding("told_scope", zh, en))
    return found[0]


def _people(
    data: Any, year: int, settings: Settings, findings: list[dict[str, Any]]
) -> tuple[gpd.GeoDataFrame, tuple[str, ...], str]:
    dated = year if data.years("population") else None
    if not data.has("population", dated) and data.has("buildings", year if data.years("buildings") else None):
        findings.append(
            _finding(
                "no_population",
                "没有常住人口数据，以建筑占地面积代替人口（代理口径）",
                "no population: building footprint stands in for people (a proxy)",
            )
        )
        return _footprints(data, year), (EVERYONE,), "buildings"
    layer = data.vector("population", dated)
    points = _points(layer)
    frame = gpd.GeoDataFrame({"cell_id": _ids(layer, "cell_id")}, geometry=points, crs=layer.crs)
    people = layer["population"].to_numpy(dtype=np.float64)
    bad = ~np.isfinite(people) | (people < 0)
    if bad.any():
        findings.append(
            _finding(
                "bad_population",
                f"{int(bad.sum())}个人口单元的人口数缺失或为负，按零计",
                f"{int(bad.sum())} cells with missing or negative population count as empty",
            )
        )
    frame[EVERYONE] = np.where(bad, 0.0, people)
    known = _ages(layer, frame[EVERYONE].to_numpy(), settings, findings)
    for name in known:
        frame[name] = layer[name].fillna(0.0).to_numpy(dtype=np.float64)
    return frame[["cell_id", EVERYONE, *known, "geometry"]], (EVERYONE, *known), "population"


def _ages(
    layer: gpd.GeoDataFrame, people: Floats, settings: Settings, findings: list[dict[str, Any]]
) -> list[str]:
    """Age groups that are known for every inhabited cell; what is wrong with them."""
    held = people > 0
    known = [name for name in AGES if name in layer and layer.loc[held, name].notna().all() and held.any()]
    if absent := [name for name in AGES if name not in known]:
        zh = "、".join(
            {"age_0_14": "0–14岁", "age_15_59": "15–59岁", "age_60": "60岁及以上"}[one] for one in absent
        )
        findings.append(
            _finding("no_ages", f"人口数据缺少年龄组：{zh}", f"age groups missing: {', '.join(absent)}")
        )
    elif (
        abs(float(layer.loc[held, list(AGES)].to_numpy().sum() / people.sum()) - 1)
        > settings.parameters.age_tolerance
    ):
        findings.append(
            _finding("age_sum", "各年龄组之和与总人口不符", "the age groups do not add up to the population")
        )
    return known


def _footprints(data: Any, year: int) -> gpd.GeoDataFrame:
    layer = data.vector("buildings", year if data.years("buildings") else None)
    area = area_m2(layer.geometry, layer.crs)
    return gpd.GeoDataFrame(
        {"cell_id": _ids(layer, "building_id"), EVERYONE: area}, geometry=_points(layer), crs=layer.crs
    )


def _ids(layer: gpd.GeoDataFrame, name: str) -> list[str]:
    return layer[name].astype(str).tolist() if name in layer else [str(k + 1) for k in range(len(layer))]


def _points(layer: gpd.GeoDataFrame) -> npt.NDArray[Any]:
    shapes = layer.geometry.to_numpy()
    point: npt.NDArray[Any] = np.where(
        shapely.get_type_id(shapes) == 0, shapes, shapely.point_on_surface(shapes)
    )
    return point


def _zones(city: Any, data: Any, frame: gpd.GeoDataFrame) -> tuple[pd.DataFrame, csr_array]:
    """Zones of all levels and which homes lie in them; a home on a common border lies in the first of them."""
    rows = [
        {"level": "city", "zone": city.name, "zone_name": city.title("zh"), "zone_name_en": city.title("en")}
    ]
    zone, home = [np.zeros(len(frame), dtype=np.intp)], [np.arange(len(frame))]
    points = frame.geometry.to_numpy()
    tree = shapely.STRtree(points)
    for level in city.levels:
        shapes = data.zones(level)
        of, which = tree.query(shapes.geometry.to_numpy(), predicate="intersects")
        order = np.lexsort((of, which))
        of, which = of[order], which[order]
        again = np.concatenate(([False], which[1:] == which[:-1])) if len(which) else np.zeros(0, dtype=bool)
        inside = shapely.contains_properly(shapes.geometry.to_numpy()[of[again]], points[which[again]])
        keep = ~again
        keep[again] = inside
        zone.append(of[keep] + len(rows))
        home.append(which[keep])
        english = _english(city, data, level)
        rows += [
            {"level": level, "zone": code, "zone_name": name, "zone_name_en": english.get(code) or name}
            for code, name in zip(shapes["code"].astype(str), shapes["name"].astype(str), strict=True)
        ]
    of, which = np.concatenate(zone), np.concatenate(home)
    member = csr_array((np.ones(len(of)), (of, which)), shape=(len(rows), len(frame)))
    member.sort_indices()
    return pd.DataFrame(rows), member


def _english(city: Any, data: Any, level: str) -> dict[str, str]:
    role, code = city.levels[level].role, city.levels[level].code
    layer = data.vector(role)
    if "name_en" not in layer:
        return {}
    return {str(k): str(v) for k, v in zip(layer[code], layer["name_en"], strict=True) if v and pd.notna(v)}


def _finding(check: str, zh: str, en: str, **more: Any) -> dict[str, Any]:
    return {"check": check, "message_zh": zh, "message_en": en, **more}
