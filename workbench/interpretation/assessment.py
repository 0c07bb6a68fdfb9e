"""How good a city's map is and what areas follow from it: points drawn from the map, held against a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.core.codes import survey_codes
from workbench.core.errors import LayerMissing, ParameterError
from workbench.indicators.values import derived, highest_sensitivity, table
from workbench.interpretation.classes import class_of_survey, scheme
from workbench.operators.accuracy import (
    Calibration,
    Sample,
    calibration,
    confusion,
    count_sample,
    sample_accuracy,
)
from workbench.operators.sampled_area import Decision, decide, stratified_areas
from workbench.operators.sampling import Allocation, Drawn, allocate, check_not_trained, class_cells, draw

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City

MAP, SURVEY_MAP, SURVEY = "land_cover_map", "land_use_raster", "land_use"
EXPECTED = 0.85
"""User's accuracy expected of a class before anything is known."""
FACTS = (
    "part", "item", "zone", "zone_name", "value", "low", "high", "unit", "decimals", "basis", "reason", "reason_zh", "reason_en",
)  # fmt: skip
"""Columns of :attr:`Assessment.facts`."""
BINS = 5
"""Classes of probability whose truth is told."""
NO_POINTS = ("no_points", "没有样本点", "no sample point")


@dataclass(frozen=True)
class Map:
    """A map of classes that is judged."""

    path: Path
    """Raster of classes."""
    role: str
    """Role in the catalogue."""
    year: int
    """Year it shows."""
    classes: tuple[str, ...]
    """Classes by value from 1."""
    recode: npt.NDArray[np.int32] | None = None
    """Class of each value of the raster; None where they are the same."""
    sensitivity: str = "内部"
    """Clearance needed."""


@dataclass(frozen=True)
class Assessment:
    """What a drawn sample says of a map."""

    city: City
    """Profile."""
    year: int
    """Year of the reference."""
    map: Map
    """The map judged."""
    drawn: Drawn
    """Points as drawn, area of each class."""
    points: gpd.GeoDataFrame
    """The drawn points with ``mapped`` and ``reference`` (names of classes)."""
    sample: Sample
    """The points counted."""
    accuracy: pd.DataFrame
    """Measures with intervals, see :func:`workbench.operators.accuracy.sample_accuracy`."""
    areas: pd.DataFrame
    """Hectares by class: on the map and estimated, with intervals."""
    calibrated: Calibration | None = None
    """Of the map's probabilities, where it has some."""
    decisions: Mapping[str, tuple[float, str, Decision]] = field(default_factory=dict)
    """Class -> limit (ha), comparison, answer."""
    sensitivity: str = "内部"
    """Strictest of map and reference."""

    @property
    def matrix(self) -> pd.DataFrame:
        """Points by class on the map (rows) and class found (columns)."""
        names = [name for name in self.map.classes if name in self.sample.classes]
        return confusion(self.points["mapped"], self.points["reference"], classes=names)

    @cached_property
    def facts(self) -> pd.DataFrame:
        """What was found as a table ``part, item, value, low, high …`` (parts sample, accuracy, area, confusion, …)."""
        rows = [
            *self._sample_facts(),
            *self._area_facts(),
            *self._calibration_facts(),
            *self._decision_facts(),
        ]
        return pd.DataFrame(rows, columns=list(FACTS))

    @cached_property
    def values(self) -> pd.DataFrame:
        """The facts as rows of the value table, ``imagery.<part>.<item>``."""
        return table(
            [
                derived(
                    f"imagery.{row['part']}.{row['item']}", float(row["value"]), city=self.city.name, year=self.year,
                    unit=row["unit"], decimals=int(row["decimals"]), zone=self.city.name, zone_name=self.city.name_zh,
                    basis=row["basis"], sensitivity=self.sensitivity, low=float(row["low"]), high=float(row["high"]),
                    reason=(row["reason"], row["reason_zh"], row["reason_en"]) if row["reason"] else None,
                )
                for row in self.facts.to_dict("records")
            ]
        )  # fmt: skip

    def _sample_facts(self) -> list[dict[str, Any]]:
        basis = (
            f"{len(self.points)} points drawn at random inside each class of {self.map.role} {self.map.year}"
        )
        rows = [fact("sample", "points", len(self.points), unit="count", basis=basis)]
        counts = self.matrix
        rows += [
            fact("confusion", f"{left}.{right}", float(number), unit="count", basis=basis)
            for left, line in zip(counts.index, counts.to_numpy(), strict=True)
            for right, number in zip(counts.columns, line, strict=True)
        ]
        for row in self.accuracy.to_dict("records"):
            item = row["measure"] if row["class"] == "" else f"{row['measure']}.{row['class']}"
            numbers = [100 * float(row[one]) for one in ("value", "low", "high")]
            rows.append(fact("accuracy", item, *numbers, unit="%", decimals=_digits(numbers), basis=basis))
        return rows

    def _area_facts(self) -> list[dict[str, Any]]:
        drawn = self.points["mapped"].value_counts()
        basis = "cells of the map, classes that were sampled"
        rows = [
            fact("total", "mapped", float(self.areas["mapped"].sum()), unit="ha", decimals=1, basis=basis),
            fact("total", "estimate", float(self.areas["area"].sum()), unit="ha", decimals=1, basis=basis),
        ]
        for name, row in self.areas.iterrows():
            numbers = [float(row[one]) for one in ("area", "low", "high")]
            rows.append(
                fact("area", str(name), *numbers, unit="ha", decimals=1, basis="estimated from the sample")
            )
            rows.append(
                fact("area", f"error.{name}", row["error"], unit="ha", decimals=1, basis="standard error")
            )
            rows.append(
                fact("area", f"mapped.{name}", row["mapped"], unit="ha", decimals=1, basis="cells of the map")
            )
            bias = float(row["mapped"] - row["area"])
            rows.append(
                fact(
                    "area",
                    f"bias.{name}",
                    bias,
                    unit="ha",
                    decimals=1,
                    basis="cells of the map less the estimate",
                )
            )
            rows.append(
                fact(
                    "area",
                    f"points.{name}",
                    float(drawn.get(name, 0)),
                    unit="count",
                    basis="points drawn where the map shows the class",
                )
            )
        return rows

    def _calibration_facts(self) -> list[dict[str, Any]]:
        if self.calibrated is None:
            return []
        basis = "probabilities of the map at the sample points"
        one = self.calibrated
        rows = [
            fact(
                "calibration",
                "error",
                100 * one.error,
                100 * one.low,
                100 * one.high,
                unit="%",
                decimals=1,
                basis=basis,
            )
        ]
        rows.append(
            fact("calibration", "points", float(one.table["points"].sum()), unit="count", basis=basis)
        )
        for at, row in enumerate(one.table.to_dict("records"), 1):
            rows.append(
                fact("calibration", f"said.{at}", 100 * row["said"], unit="%", decimals=1, basis=basis)
            )
            numbers = [100 * row[name] for name in ("found", "low", "high")]
            rows.append(fact("calibration", f"found.{at}", *numbers, unit="%", decimals=1, basis=basis))
            rows.append(fact("calibration", f"points.{at}", row["points"], unit="count", basis=basis))
        return rows

    def _decision_facts(self) -> list[dict[str, Any]]:
        rows = []
        for name, (limit, op, one) in self.decisions.items():
            basis = f"area of {name} {op} limit"
            answer = float("nan") if one.answer is None else float(one.answer)
            open_ = (
                None
                if one.answer is not None
                else ("uncertain", "不确定：区间跨越限值", "uncertain: the interval holds the limit")
            )
            rows.append(fact("decision", f"limit.{name}", limit, unit="ha", decimals=1, basis=basis))
            rows.append(fact("decision", f"answer.{name}", answer, unit="count", basis=basis, reason=open_))
            more = float("nan") if one.further is None else float(one.further)
            never = (
                None
                if one.further is not None
                else ("too_many", "补点也难以判定", "no number of points would tell")
            )
            rows.append(
                fact(
                    "decision",
                    f"more.{name}",
                    more,
                    unit="count",
                    basis="further points that would decide",
                    reason=never,
                )
            )
            for stratum, number in (one.more or {}).items():
                rows.append(
                    fact(
                        "decision",
                        f"more.{name}.{stratum}",
                        number,
                        unit="count",
                        basis="further points that would decide",
                    )
                )
        return rows


def fact(part: str, item: str, value: float, low: float = np.nan, high: float = np.nan, *, unit: str, decimals: int = 0,
         basis: str, zone: str = "", zone_name: str = "", reason: tuple[str, str, str] | None = None) -> dict[str, Any]:  # fmt: skip
    """One figure, a row of :data:`FACTS`; one without a value says why."""
    why = reason or (NO_POINTS if np.isnan(float(value)) else ("", "", ""))
    return {
        "part": part, "item": item, "zone": zone, "zone_name": zone_name, "value": float(value), "low": float(low), "high": float(high),
        "unit": unit, "decimals": decimals, "basis": basis, "reason": why[0], "reason_zh": why[1], "reason_en": why[2],
    }  # fmt: skip


def _digits(shares: Sequence[float]) -> int:
    """Decimals of percentages: one, and more where one would round a share short of certain to 100."""
    short = [one for one in shares if one < 100]
    return next((n for n in (1, 2, 3) if all(round(one, n) < 100 for one in short)), 3)


def map_of(city: City, year: int, data: CityData, *, classes: str = "six") -> Map:
    """The city's land-cover map of a year; where none is published an earlier survey's raster (of the base year) stands in.

    Parameters
    ----------
    city, year, data
        Profile, year of the reference, layers.
    classes : str
        Scheme of image classes.

    Raises
    ------
    LayerMissing
        Neither is there.
    """
    names = scheme(classes)
    if data.has(MAP, year):
        source = data.source(MAP, year)
        return Map(source.path, MAP, year, tuple(names["class"]), sensitivity=source.sensitivity)
    earlier = [one for one in data.years(SURVEY_MAP) if one < year]
    if not earlier:
        raise LayerMissing(MAP, year, reason="no_layer")
    shown = city.base_year if city.base_year in earlier else earlier[-1]
    source = data.source(SURVEY_MAP, shown)
    return Map(
        source.path, SURVEY_MAP, shown, tuple(names["class"]), recode=survey_recode(classes),
        sensitivity=source.sensitivity,
    )  # fmt: skip


def survey_recode(classes: str) -> npt.NDArray[np.int32]:
    """Image class of each value of a raster of survey classes, 0 where a code has none."""
    codes, of = survey_codes().dropna(subset=["raster"]), class_of_survey(classes)
    made = np.zeros(256, dtype=np.int32)
    for value, code in zip(codes["raster"].astype(int), codes["code"].astype(str), strict=True):
        made[value] = of.get(code, 0)
    return made


def survey_at(points: gpd.GeoDataFrame, year: int, data: CityData) -> pd.Series[Any]:
    """Survey class of the parcel at each point, the first of those that share it; missing where none lies."""
    parcels = data.vector(SURVEY, year)[["dlbm", "geometry"]]
    joined = gpd.sjoin(points[["geometry"]], parcels, how="left", predicate="intersects")
    found: pd.Series[Any] = joined[~joined.index.duplicated()]["dlbm"].reindex(points.index)
    return found


def survey_reference(
    points: gpd.GeoDataFrame, year: int, data: CityData, *, classes: str = "six"
) -> npt.NDArray[np.object_]:
    """Image class of the survey parcel at each point; empty where no parcel lies or its class has none.

    The survey is the work of persons in the field; where it is, it may stand for points interpreted one by one.
    """
    code = survey_at(points, year, data)
    names, of = scheme(classes)["class"].tolist(), class_of_survey(classes)
    value = code.map(of)
    return np.array([names[int(one) - 1] if pd.notna(one) else "" for one in value], dtype=object)


def plan(judged: Map, points: int, *, allocation: Allocation = "olofsson", least: int = 20,
         without: gpd.GeoDataFrame | None = None) -> dict[int, int]:  # fmt: skip
    """Points for each class of a map.

    Parameters
    ----------
    judged : Map
        The map.
    points : int
        Points in all, about.
    allocation : {"olofsson", "proportional", "equal", "neyman"}
        How they are shared out, see :func:`workbench.operators.sampling.allocate`.
    least : int
        Points of each class at least; small classes get all their cells if they have fewer.
    without : GeoDataFrame, optional
        Places that are no part of what is estimated.
    """
    cells, areas = class_cells(judged.path, without=without, recode=judged.recode)
    names = [name for name in areas if 1 <= name <= len(judged.classes)]
    weights = np.array([areas[name] for name in names])
    rare = int(((weights / weights.sum()) < 0.05).sum())
    each = max(least, min(75, points // (2 * max(rare, 1))))
    shared = allocate(
        points, weights, allocation, users=np.full(len(names), EXPECTED), rare_points=each, least=min(least, points)
    )  # fmt: skip
    return {name: min(int(number), cells[name]) for name, number in zip(names, shared, strict=True)}


def draw_points(judged: Map, points: int, *, seed: int, allocation: Allocation = "olofsson", min_distance_m: float = 0.0,
                without: gpd.GeoDataFrame | None = None) -> Drawn:  # fmt: skip
    """Points drawn from a map for persons to look at, with ``mapped``, the name of their class on it."""
    sizes = plan(judged, points, allocation=allocation, without=without)
    drawn = draw(
        judged.path, sizes, seed=seed, min_distance_m=min_distance_m, without=without, recode=judged.recode
    )  # fmt: skip
    named = [judged.classes[name - 1] for name in drawn.points["stratum"]]
    return Drawn(drawn.points.assign(mapped=named), drawn.areas, drawn.cells)


def assess(city: City, year: int, judged: Map, drawn: Drawn, reference: Sequence[Any] | npt.NDArray[Any], *,
           limits: Mapping[str, tuple[float, str]] | None = None, probability: npt.ArrayLike | None = None,
           level: float = 0.95, openness: str = "内部", seed: int = 0,
           trained: gpd.GeoDataFrame | None = None) -> Assessment:  # fmt: skip
    """What the reference says of a map and of the areas.

    Parameters
    ----------
    city, year : City, int
        Profile; year of the reference.
    judged, drawn : Map, Drawn
        The map and the points drawn from it (:func:`draw_points`).
    reference : sequence of str
        Class found at each point; empty where none could be told, and then the point is left out.
    limits : mapping of class to (hectares, ">=" or "<="), optional
        Questions to be answered with yes, no or not certain.
    probability : array, optional
        Probability the map gave its class at each point; NaN where it gave none, or where it is not asked for.
    level, openness, seed
        Confidence; clearance of the reference; seed of what is drawn again.
    trained : GeoDataFrame, optional
        Places of the sample library that trained the map; points in them are refused.

    Raises
    ------
    ParameterError
        Another number of references than points, too few left in a class, or points in places that trained the map.
    """
    if trained is not None and len(trained):
        check_not_trained(drawn.points, trained)
    points = drawn.points.assign(reference=np.asarray(reference, dtype=object))
    told = (points["reference"] != "").to_numpy() & points["reference"].notna().to_numpy()
    if not told.any():
        raise ParameterError("no point has a reference class", where=judged.role, found=len(points))
    points = points[told].reset_index(drop=True)
    areas = {
        judged.classes[value - 1]: area / 1e4
        for value, area in drawn.areas.items()
        if 1 <= value <= len(judged.classes)
    }
    seen = set(points["mapped"])
    strata = {name: area for name, area in areas.items() if name in seen}
    sample = count_sample(strata, points["mapped"], points["reference"])
    order = [name for name in judged.classes if name in sample.classes]
    calibrated = None
    if probability is not None:
        said = np.asarray(probability, dtype=float)[told]
        right = (points["mapped"] == points["reference"]).to_numpy()
        worth = (
            points["mapped"].map(strata) / points.groupby("mapped")["mapped"].transform("size")
        ).to_numpy()
        if (there := np.isfinite(said)).any():
            calibrated = calibration(
                said[there], right[there], weights=worth[there], bins=BINS, seed=seed, level=level
            )
    return Assessment(
        city, year, judged, drawn, points, sample, sample_accuracy(sample, level=level),
        stratified_areas(strata, points["mapped"], points["reference"], level=level).loc[order], calibrated,
        {
            name: (limit, op, decide(strata, points["mapped"], points["reference"], name, threshold=limit, op=op, level=level))
            for name, (limit, op) in (limits or {}).items()
        },
        highest_sensitivity([judged.sensitivity, openness]),
    )  # fmt: skip
