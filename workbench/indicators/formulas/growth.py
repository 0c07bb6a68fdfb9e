"""What became of the land between two surveys, as parcels: growth, reuse, restoration, change of extent."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd

from workbench.core import codes
from workbench.indicators.formulas.common import (
    NO_EARLIER,
    NOT_LAST_YEAR,
    Bools,
    as_table,
    base_year_missing,
    land_and_people,
    missing,
    people_by_zone,
    pieces,
    ratio,
    result,
    sum_by_zone,
    to_unit,
)
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators.change import change_parcels
from workbench.operators.overlay import intersect


def any_class(dlbm: pd.Series, groups: tuple[str, ...], classes: tuple[str, ...]) -> Bools:
    """Rows of any of the groups or classes."""
    found = dlbm.astype(str).isin(list(classes)).to_numpy(dtype=bool)
    for group in groups:
        found = found | codes.match(dlbm.astype(str), group)
    return found


def _group_m2(data: Inputs, zones: gpd.GeoDataFrame, group: str, year: int | None = None) -> pd.Series:
    rows = pieces(data, "land_use", zones, year=year)
    return sum_by_zone(zones, rows[codes.match(rows["dlbm"].astype(str), group)], "piece_m2")


def _last_year(data: Inputs) -> str:
    """Reason code when there is no survey of the year just before; else ``""``."""
    previous = data.previous_year("land_use")
    if previous is None:
        return NO_EARLIER
    return "" if previous == data.year - 1 else f"{NOT_LAST_YEAR}:{data.year - 1}"


@reads("land_use")
def became(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    unit: str,
    to_groups: tuple[str, ...],
    from_groups: tuple[str, ...] = (),
    from_dlbm: tuple[str, ...] = (),
    within_czcsxm: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Land that changed its class during the year: from some classes to some groups of classes.

    With ``within_czcsxm`` only land with these town-and-village attributes in both surveys counts. Needs the survey of
    the year before: a longer interval is not the year. A zone in which no class changed so gets no value: that the
    survey shows nothing does not prove that nothing was done.
    """
    if reason := _last_year(data):
        return missing(zones, reason)

    def make() -> gpd.GeoDataFrame:
        before, now = data.vector("land_use", data.year - 1), data.vector("land_use")
        was = any_class(before["dlbm"], from_groups, from_dlbm)
        is_now = any_class(now["dlbm"], to_groups, ())
        if within_czcsxm:
            was &= before["czcsxm"].isin(list(within_czcsxm)).to_numpy()
            is_now &= now["czcsxm"].isin(list(within_czcsxm)).to_numpy()
        return change_parcels(before[was].reset_index(drop=True), now[is_now].reset_index(drop=True))

    chosen = (tuple(to_groups), tuple(from_groups), tuple(from_dlbm), tuple(within_czcsxm))
    changed = data.share(("became", data.year, *chosen), make)
    numbered = gpd.GeoDataFrame(
        {"row": np.arange(len(changed))}, geometry=changed.geometry.array, crs=changed.crs
    )
    found = intersect(numbered, as_table(zones), left_id="row", right_id="zone")
    square_metres = sum_by_zone(zones, found, "area_m2")
    return result(zones, to_unit(square_metres.where(square_metres > 0), unit), reason="no_change_seen")


@reads("land_use")
def change_since_base(data: Inputs, zones: gpd.GeoDataFrame, *, group: str) -> pd.DataFrame:
    """Change of the area of a group of classes since the base year's survey, percent of that year's."""
    if reason := base_year_missing(data, "land_use"):
        return missing(zones, reason)
    before, now = _group_m2(data, zones, group, data.base_year), _group_m2(data, zones, group)
    return ratio(zones, now - before, before, scale=100.0)


@reads("land_use", "population")
def consumption_ratio(
    data: Inputs, zones: gpd.GeoDataFrame, *, group: str, min_growth: float = 1e-4
) -> pd.DataFrame:
    """Growth rate of the land of a group over the growth rate of people since the base year."""
    if reason := base_year_missing(data, "land_use", "population"):
        return missing(zones, reason)
    base = data.base_year
    land = (_group_m2(data, zones, group, base), _group_m2(data, zones, group))
    people = (people_by_zone(data, zones, year=base), people_by_zone(data, zones))
    return land_and_people(zones, land, people, data.year - base, min_growth=min_growth)


@reads("land_use", "population")
def land_per_person(data: Inputs, zones: gpd.GeoDataFrame, *, group: str) -> pd.DataFrame:
    """Land of a group for each resident, square metres."""
    return ratio(zones, _group_m2(data, zones, group), people_by_zone(data, zones))


@reads("land_use")
def class_ratio(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    groups: tuple[str, ...] = (),
    dlbm: tuple[str, ...] = (),
    of_groups: tuple[str, ...] = (),
    of_dlbm: tuple[str, ...] = (),
    of_all_but: tuple[str, ...] = (),
    scale: float = 1.0,
) -> pd.DataFrame:
    """Land of some classes divided by land of other classes (or by all but some groups), times ``scale``."""
    rows = pieces(data, "land_use", zones)
    top = any_class(rows["dlbm"], groups, dlbm)
    bottom = (
        ~any_class(rows["dlbm"], of_all_but, ())
        if of_all_but
        else any_class(rows["dlbm"], of_groups, of_dlbm)
    )
    return ratio(
        zones,
        sum_by_zone(zones, rows[np.asarray(top)], "piece_m2"),
        sum_by_zone(zones, rows[np.asarray(bottom)], "piece_m2"),
        scale=scale,
    )
