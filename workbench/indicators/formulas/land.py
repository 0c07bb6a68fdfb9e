"""Land by survey class and attribute, inside and outside planning lines. Areas are ellipsoidal."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core import codes
from workbench.core.errors import DefinitionError
from workbench.indicators.formulas.common import (
    NOT_IN_FORCE,
    Bools,
    as_table,
    inside_line_m2,
    line_parts,
    missing,
    pieces,
    ratio,
    result,
    sum_by_zone,
    to_unit,
    zone_area_m2,
    zones_key,
)
from workbench.indicators.indicator import reads
from workbench.indicators.inputs import Inputs
from workbench.operators.area import area_m2
from workbench.operators.overlay import intersect


def land_mask(
    rows: pd.DataFrame, *, group: str = "", czcsxm: Sequence[str] = (), dlbm: Sequence[str] = ()
) -> Bools:
    """Rows of a group of classes, of some classes, or of some town-and-village attributes (城镇村属性码).

    Raises
    ------
    DefinitionError
        None or more than one of the three is given.
    """
    if (group != "") + bool(czcsxm) + bool(dlbm) != 1:
        raise DefinitionError(
            "land is chosen by one of 'group', 'czcsxm', 'dlbm'", found=[group, czcsxm, dlbm]
        )
    if group:
        return codes.match(rows["dlbm"].astype(str), group)
    column, wanted = ("czcsxm", czcsxm) if czcsxm else ("dlbm", dlbm)
    found: Bools = rows[column].isin(list(wanted)).to_numpy(dtype=bool)
    return found


@reads("land_use")
def area(
    data: Inputs,
    zones: gpd.GeoDataFrame,
    *,
    unit: str,
    group: str = "",
    czcsxm: tuple[str, ...] = (),
    dlbm: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Area of land of a group, of classes or of attributes."""
    rows = pieces(data, "land_use", zones)
    square_metres = sum_by_zone(
        zones, rows[land_mask(rows, group=group, czcsxm=czcsxm, dlbm=dlbm)], "piece_m2"
    )
    return result(zones, to_unit(square_metres, unit))


@reads("land_use")
def net_area(data: Inputs, zones: gpd.GeoDataFrame, *, unit: str, group: str) -> pd.DataFrame:
    """Net survey area (TBDLMJ: gross area less field ridges and the like) of a group of classes.

    A parcel that a zone boundary cuts gives its net area in proportion to its pieces. A parcel without a stated
    net area gives no value to its zones.
    """

    def make() -> pd.DataFrame:
        rows = pieces(data, "land_use", zones)
        whole = parcel_area_m2(data)
        share = rows["piece_m2"] / whole[rows["row"].to_numpy()]
        return pd.DataFrame(
            {"zone": rows["zone"], "dlbm": rows["dlbm"], "net_m2": rows["net_area_m2"] * share}
        )

    rows = data.share(("net_area", data.year, zones_key(zones)), make)
    wanted = rows[land_mask(rows, group=group)]
    net = sum_by_zone(zones, wanted, "net_m2")
    silent = set(wanted.loc[wanted["net_m2"].isna(), "zone"])
    net = net.mask(net.index.isin(silent))
    return result(zones, to_unit(net, unit), reason="no_net_area")


def parcel_area_m2(data: Inputs) -> npt.NDArray[np.float64]:
    """Ellipsoidal area of each parcel in the order of the layer (ids may come twice), square metres."""

    def make() -> npt.NDArray[np.float64]:
        layer = data.vector("land_use")
        return area_m2(layer.geometry, layer.crs)

    return data.share(("parcel_area", data.year), make)


@reads("land_use")
def share_of_zone(
    data: Inputs, zones: gpd.GeoDataFrame, *, group: str = "", dlbm: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Land of a group or of some classes as a share of the zone's area, percent."""
    rows = pieces(data, "land_use", zones)
    land = sum_by_zone(zones, rows[land_mask(rows, group=group, dlbm=dlbm)], "piece_m2")
    return ratio(zones, land, zone_area_m2(data, zones), scale=100.0)


@reads("land_use")
def share_of_land(
    data: Inputs, zones: gpd.GeoDataFrame, *, group: str, of_czcsxm: tuple[str, ...]
) -> pd.DataFrame:
    """Land of a group for each hundred of land of some attributes, percent."""
    rows = pieces(data, "land_use", zones)
    base = land_mask(rows, czcsxm=of_czcsxm)
    part = land_mask(rows, group=group)
    return ratio(
        zones,
        sum_by_zone(zones, rows[part], "piece_m2"),
        sum_by_zone(zones, rows[base], "piece_m2"),
        scale=100.0,
    )


@reads("{lines}")
def line_area(data: Inputs, zones: gpd.GeoDataFrame, *, lines: tuple[str, ...], unit: str) -> pd.DataFrame:
    """Area inside planning lines in force at the end of the year; overlaps count once."""
    parts = [line_parts(data, role) for role in lines]
    if all(part.empty for part in parts):
        return missing(zones, NOT_IN_FORCE)
    shapes = np.concatenate([part.geometry.to_numpy() for part in parts])
    if len(lines) > 1:
        shapes = shapely.get_parts(shapely.union_all(shapes))
    layer = gpd.GeoDataFrame({"part": np.arange(len(shapes))}, geometry=shapes, crs=parts[0].crs)
    found = intersect(layer, as_table(zones), left_id="part", right_id="zone")
    return result(zones, to_unit(sum_by_zone(zones, found, "area_m2"), unit))


@reads("land_use", "{role}")
def layer_per_land(data: Inputs, zones: gpd.GeoDataFrame, *, role: str, group: str) -> pd.DataFrame:
    """Area of a layer in force (overlaps once) for each hundred of land of a group, percent."""
    if line_parts(data, role).empty:
        return missing(zones, NOT_IN_FORCE)
    found = intersect(line_parts(data, role), as_table(zones), left_id="part", right_id="zone")
    rows = pieces(data, "land_use", zones)
    land = sum_by_zone(zones, rows[land_mask(rows, group=group)], "piece_m2")
    return ratio(zones, sum_by_zone(zones, found, "area_m2"), land, scale=100.0)


@reads("land_use", "{line}")
def land_in_line(
    data: Inputs, zones: gpd.GeoDataFrame, *, line: str, czcsxm: tuple[str, ...], unit: str
) -> pd.DataFrame:
    """Land of some attributes inside a planning line in force at the end of the year."""
    if line_parts(data, line).empty:
        return missing(zones, NOT_IN_FORCE)
    rows = pieces(data, "land_use", zones)
    common = inside_line_m2(data, rows[land_mask(rows, czcsxm=czcsxm)].reset_index(drop=True), line)
    return result(zones, to_unit(sum_by_zone(zones, common, "piece_m2"), unit))
