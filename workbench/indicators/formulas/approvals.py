"""Approvals against the land: supply from existing stock, approved land still unsupplied, patches no approval covers."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.core import codes
from workbench.indicators.formulas.common import (
    NO_EARLIER,
    Bools,
    common_pieces,
    lacks_field,
    missing,
    pieces_of,
    ratio,
    result,
    sum_by_zone,
    sum_of_points,
)
from workbench.indicators.formulas.plan import built_patch_types
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators.area import area_m2
from workbench.operators.overlay import intersect


def _approved(data: Inputs, kinds: Sequence[str], *, first: int | None = None, last: int) -> shapely.Geometry:
    """Union of the land under permits of some kinds approved from year ``first`` to year ``last``."""

    def make() -> shapely.Geometry:
        layer = data.vector("permits")
        year = pd.to_datetime(layer["approved"]).dt.year
        keep = layer["kind"].isin(list(kinds)) & (year <= last)
        if first is not None:
            keep &= year >= first
        return shapely.union_all(layer.geometry[keep].to_numpy())

    return data.share(("approved", tuple(kinds), first, last), make)


@reads("permits", "land_use")
def supply_from_stock(data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...]) -> pd.DataFrame:
    """Share of the land supplied in the year that was construction land in the survey before, percent."""
    if reason := lacks_field(data, "permits", "approved"):
        return missing(zones, reason)
    previous = data.previous_year("land_use")
    if previous is None:
        return missing(zones, NO_EARLIER)
    supplied = pieces_of(_approved(data, kinds, first=data.year, last=data.year), zones)
    before = data.vector("land_use", previous)
    built = before[codes.match(before["dlbm"].astype(str), "construction")].reset_index(drop=True)
    stock = common_pieces(supplied, built)
    return ratio(
        zones,
        sum_by_zone(zones, stock, "piece_m2"),
        sum_by_zone(zones, supplied, "piece_m2"),
        scale=100.0,
    )


@reads("permits")
def unsupplied_disposed(
    data: Inputs, zones: gpd.GeoDataFrame, *, approval_kinds: tuple[str, ...], supply_kinds: tuple[str, ...]
) -> pd.DataFrame:
    """Share of the land approved but not supplied at the start of the year that was supplied in it, percent."""
    if reason := lacks_field(data, "permits", "approved"):
        return missing(zones, reason)
    before = data.year - 1
    stock = shapely.difference(
        _approved(data, approval_kinds, last=before), _approved(data, supply_kinds, last=before)
    )
    disposed = shapely.intersection(stock, _approved(data, supply_kinds, first=data.year, last=data.year))
    return ratio(
        zones,
        sum_by_zone(zones, pieces_of(disposed, zones), "piece_m2"),
        sum_by_zone(zones, pieces_of(stock, zones), "piece_m2"),
        scale=100.0,
    )


@reads("change_patches", "permits")
def uncovered_patches(
    data: Inputs, zones: gpd.GeoDataFrame, *, kinds: tuple[str, ...], min_share: float
) -> pd.DataFrame:
    """Number of the year's built or disturbed patches of which permits in force cover less than a share."""
    if reason := lacks_field(data, "permits", "approved"):
        return missing(zones, reason)
    patches = data.vector("change_patches")
    built = patches["tblx"].astype(str).isin(built_patch_types()).to_numpy()
    share = data.share(
        ("covered_share", data.year, tuple(kinds)), lambda: _covered_share(data, patches, kinds)
    )
    bare = built & (share < min_share)
    return result(zones, sum_of_points(data, "change_patches", zones, bare.astype("float64")))


def _covered_share(
    data: Inputs, patches: gpd.GeoDataFrame, kinds: Sequence[str]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Share of each patch under permits approved by the patch's later date and not ended before it."""
    permits = data.vector("permits")
    permits = permits[permits["kind"].isin(list(kinds))].reset_index(drop=True)
    left = gpd.GeoDataFrame(
        {"row": np.arange(len(patches))}, geometry=patches.geometry.array, crs=patches.crs
    )
    right = gpd.GeoDataFrame(
        {"permit": np.arange(len(permits))}, geometry=permits.geometry.array, crs=patches.crs
    )
    found = intersect(left, right, left_id="row", right_id="permit")
    row, permit = found["row"].to_numpy(dtype=int), found["permit"].to_numpy(dtype=int)
    seen = _seen(patches, data.year).to_numpy()[row]
    approved = pd.to_datetime(permits["approved"]).to_numpy()[permit]
    ended = (
        pd.to_datetime(permits["ended"]).to_numpy()[permit]
        if "ended" in permits
        else np.full(len(permit), np.datetime64("NaT"))
    )
    valid: Bools = (approved <= seen) & (np.isnat(ended) | (ended >= seen))
    shapes = found.geometry.to_numpy()
    area = np.zeros(len(patches))
    for number, rows in pd.Series(np.flatnonzero(valid)).groupby(row[valid]):
        union = shapely.union_all(shapes[rows.to_numpy()])  # permits of one project lie on one another
        area[int(number)] = area_m2([union], patches.crs)[0]
    whole = area_m2(patches.geometry, patches.crs)
    return np.divide(area, whole, out=np.zeros(len(whole)), where=whole > 0)


def _seen(patches: gpd.GeoDataFrame, year: int) -> pd.Series:
    """Later date of each patch; the end of the year where none is stated."""
    end = pd.Timestamp(year=year, month=12, day=31)
    if "date_after" not in patches:
        return pd.Series(end, index=patches.index)
    stated: pd.Series = pd.to_datetime(patches["date_after"])
    return stated.fillna(end)
