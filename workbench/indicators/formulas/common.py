"""What the formulas share: areas by zone, lines in force, people in zones, and the shape of a result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from workbench.core.units import convert
from workbench.indicators.inputs import Inputs
from workbench.operators.area import area_m2
from workbench.operators.overlay import intersect

Bools = npt.NDArray[np.bool_]

NOT_IN_FORCE = "no_line_in_force"
NO_EARLIER = "no_earlier_year"
NOT_LAST_YEAR = "no_last_year"
NO_KIND = "no_kind"
ZERO_DENOMINATOR = "zero_denominator"


def result(
    zones: gpd.GeoDataFrame,
    value: pd.Series | float,
    *,
    numerator: pd.Series | None = None,
    denominator: pd.Series | None = None,
    reason: pd.Series | str = "",
) -> pd.DataFrame:
    """Result of a formula: one row a zone; ``reason`` says why a value is missing."""
    frame = pd.DataFrame(index=pd.Index(zones.index, name="code"))
    values = (
        value.reindex(frame.index) if isinstance(value, pd.Series) else pd.Series(value, index=frame.index)
    )
    frame["value"] = values.astype("float64")
    for name, series in (("numerator", numerator), ("denominator", denominator)):
        if series is not None:
            frame[name] = series.reindex(frame.index).astype("float64")
    frame["reason"] = reason if isinstance(reason, str) else reason.reindex(frame.index).fillna("")
    frame.loc[frame["value"].notna(), "reason"] = ""
    return frame


def ratio(
    zones: gpd.GeoDataFrame, numerator: pd.Series, denominator: pd.Series, *, scale: float = 1.0
) -> pd.DataFrame:
    """``numerator / denominator * scale``; a denominator of zero gives no value, with the reason.

    Examples
    --------
    >>> zones = gpd.GeoDataFrame(index=["a", "b"])
    >>> ratio(zones, pd.Series([1.0, 1.0], ["a", "b"]), pd.Series([4.0, 0.0], ["a", "b"]), scale=100)
          value  numerator  denominator            reason
    code
    a      25.0        1.0          4.0
    b       NaN        1.0          0.0  zero_denominator
    """
    top = numerator.reindex(zones.index).astype("float64")
    bottom = denominator.reindex(zones.index).astype("float64")
    value = top / bottom.where(bottom > 0) * scale
    reason = pd.Series(np.where(bottom > 0, "", ZERO_DENOMINATOR), index=zones.index)
    return result(zones, value, numerator=top, denominator=bottom, reason=reason)


def missing(zones: gpd.GeoDataFrame, reason: str) -> pd.DataFrame:
    """No value in any zone, for one reason."""
    return result(zones, float("nan"), reason=reason)


def zones_key(zones: gpd.GeoDataFrame) -> str:
    """Hash of codes and shapes: zones that are equal share their results."""
    digest = hashlib.sha256()
    for code, shape in zip(zones.index, zones.geometry.array, strict=True):
        digest.update(str(code).encode() + b"\0" + shapely.to_wkb(shape))
    return digest.hexdigest()[:20]


def zone_area_m2(data: Inputs, zones: gpd.GeoDataFrame) -> pd.Series:
    """Ellipsoidal area of each zone, square metres."""
    return data.share(
        ("zone_area", zones_key(zones)),
        lambda: pd.Series(area_m2(zones.geometry, data.crs), index=zones.index, dtype="float64"),
    )


def as_table(zones: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Zones with their code as a column, as operators take them."""
    return gpd.GeoDataFrame({"zone": zones.index.astype(str)}, geometry=zones.geometry.array, crs=zones.crs)


def pieces(data: Inputs, role: str, zones: gpd.GeoDataFrame, *, year: int | None = None) -> gpd.GeoDataFrame:
    """Pieces of a polygon layer by zone: its fields, with ``row`` (place in the layer), ``zone`` and ``piece_m2`` (ellipsoidal)."""

    def make() -> gpd.GeoDataFrame:
        layer = data.vector(role, year)
        numbered = gpd.GeoDataFrame(
            {"row": np.arange(len(layer))}, geometry=layer.geometry.array, crs=layer.crs
        )
        found = intersect(numbered, as_table(zones), left_id="row", right_id="zone")
        fields = layer.drop(columns=layer.geometry.name).iloc[found["row"].to_numpy()].reset_index(drop=True)
        fields["row"] = found["row"].to_numpy()
        fields["zone"], fields["piece_m2"] = found["zone"].to_numpy(), found["area_m2"].to_numpy()
        return gpd.GeoDataFrame(fields, geometry=found.geometry.array, crs=layer.crs)

    return data.share(("pieces", role, year if year is not None else data.year, zones_key(zones)), make)


def sum_by_zone(zones: gpd.GeoDataFrame, rows: pd.DataFrame, column: str) -> pd.Series:
    """Sum of a column by zone; 0 where a zone has no row."""
    sums = rows.groupby("zone", sort=False)[column].sum()
    sums.index = sums.index.astype(str)
    return sums.reindex(zones.index, fill_value=0.0).astype("float64")


def to_unit(square_metres: pd.Series, unit: str) -> pd.Series:
    """Square metres in another unit of area."""
    return square_metres * convert(1.0, "m2", unit)


def in_force(layer: gpd.GeoDataFrame, year: int) -> gpd.GeoDataFrame:
    """Features in force at the end of a year: approved by 31 December, and not ended by then."""
    return layer.loc[in_force_mask(layer, year)].reset_index(drop=True)


def in_force_mask(layer: gpd.GeoDataFrame, year: int) -> Bools:
    """Which features are in force at the end of a year.

    A feature without a date of approval is not counted as approved later: it is taken as in force.
    """
    end = pd.Timestamp(year=year, month=12, day=31)
    keep = np.ones(len(layer), dtype=bool)
    if "approved" in layer:
        approved = pd.to_datetime(layer["approved"])
        keep &= (approved.isna() | (approved <= end)).to_numpy()
    if "ended" in layer:
        ended = pd.to_datetime(layer["ended"])
        keep &= (ended.isna() | (ended > end)).to_numpy()
    return keep


def line_parts(data: Inputs, role: str) -> gpd.GeoDataFrame:
    """Disjoint polygons that cover what a planning line covers at the end of the year; overlaps counted once."""

    def make() -> gpd.GeoDataFrame:
        layer = in_force(data.vector(role), data.year)
        union = shapely.union_all(layer.geometry.to_numpy()) if len(layer) else shapely.Polygon()
        areal = [
            part for part in shapely.get_parts(union) if part.geom_type == "Polygon" and not part.is_empty
        ]
        return gpd.GeoDataFrame({"part": np.arange(len(areal))}, geometry=areal, crs=layer.crs)

    return data.share(("line_parts", role, data.year), make)


def inside_line_m2(data: Inputs, rows: gpd.GeoDataFrame, role: str) -> pd.DataFrame:
    """Area of pieces (from :func:`pieces`) inside a planning line, by zone: columns zone, piece_m2."""
    numbered = gpd.GeoDataFrame({"row": np.arange(len(rows))}, geometry=rows.geometry.array, crs=rows.crs)
    common = intersect(numbered, line_parts(data, role), left_id="row", right_id="part")
    zone = rows["zone"].to_numpy()[common["row"].to_numpy(dtype=int)]
    return pd.DataFrame({"zone": zone, "piece_m2": common["area_m2"].to_numpy()})


def points_by_zone(
    data: Inputs, role: str, zones: gpd.GeoDataFrame, *, year: int | None = None
) -> pd.DataFrame:
    """Pairs of a feature and a zone its point lies in: columns ``row`` (place in the layer) and ``zone``.

    Where zones overlap a point counts in each; a point on the border of zones counts in the first of them only.
    """

    def make() -> pd.DataFrame:
        shapes = zones.geometry.to_numpy()
        points = representative_points(data.vector(role, year).geometry)
        zone, row = shapely.STRtree(points).query(shapes, predicate="intersects")
        order = np.lexsort((zone, row))
        zone, row = zone[order], row[order]
        again = np.concatenate(([False], row[1:] == row[:-1])) if len(row) else np.zeros(0, dtype=bool)
        keep = ~again
        keep[again] = shapely.contains_properly(shapes[zone[again]], points[row[again]])
        return pd.DataFrame({"row": row[keep], "zone": zones.index.astype(str).to_numpy()[zone[keep]]})

    return data.share(("points_by_zone", role, data.year if year is None else year, zones_key(zones)), make)


def sum_of_points(
    data: Inputs,
    role: str,
    zones: gpd.GeoDataFrame,
    amounts: npt.NDArray[np.float64],
    *,
    year: int | None = None,
) -> pd.Series:
    """Sum over the features of a layer in each zone of one amount a feature."""
    pairs = points_by_zone(data, role, zones, year=year)
    return sum_by_zone(zones, pairs.assign(amount=amounts[pairs["row"].to_numpy()]), "amount")


def absent_kinds(data: Inputs, role: str, kinds: Sequence[str]) -> str:
    """Reason code when a layer holds no feature of some of the kinds: absence of data, not of facilities; else ``""``."""
    held = set(data.vector(role)["kind"])
    absent = [kind for kind in kinds if kind not in held]
    return f"{NO_KIND}:{'+'.join(absent)}" if absent else ""


def representative_points(shapes: gpd.GeoSeries) -> npt.NDArray[np.object_]:
    """Points as they are; other shapes by a point inside them."""
    array = shapes.to_numpy()
    is_point = shapely.get_type_id(array) == 0
    points: npt.NDArray[np.object_] = np.where(is_point, array, shapely.point_on_surface(array))
    return points


def people_by_zone(
    data: Inputs, zones: gpd.GeoDataFrame, counted: Bools | None = None, *, year: int | None = None
) -> pd.Series:
    """People in each zone by the centres of population cells; only the cells marked when ``counted`` is given."""
    people = data.vector("population", year)["population"].to_numpy(dtype="float64")
    amounts = people if counted is None else np.where(counted, people, 0.0)
    return sum_of_points(data, "population", zones, amounts, year=year)


def lacks_field(data: Inputs, role: str, *fields: str) -> str:
    """Reason code when a layer has not all of the fields; else ``""``."""
    absent = [name for name in fields if name and name not in data.vector(role)]
    return f"no_field:{role}:{'+'.join(absent)}" if absent else ""


def parts_of(shape: shapely.Geometry, crs: object) -> gpd.GeoDataFrame:
    """Polygons of a shape as a table with the column ``part``, as the operators take it."""
    areal = [one for one in shapely.get_parts(shape) if one.geom_type == "Polygon" and not one.is_empty]
    return gpd.GeoDataFrame({"part": np.arange(len(areal))}, geometry=areal, crs=crs)


def pieces_of(shape: shapely.Geometry, zones: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Pieces of a shape by zone: ``zone``, ``piece_m2``, geometry."""
    found = intersect(parts_of(shape, zones.crs), as_table(zones), left_id="part", right_id="zone")
    return gpd.GeoDataFrame(
        {"zone": found["zone"].to_numpy(), "piece_m2": found["area_m2"].to_numpy()},
        geometry=found.geometry.array,
        crs=zones.crs,
    )


def common_pieces(rows: gpd.GeoDataFrame, others: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Parts that pieces (with ``zone``) share with other polygons: zone, piece_m2, row, other (places), geometry."""
    left = gpd.GeoDataFrame({"row": np.arange(len(rows))}, geometry=rows.geometry.array, crs=rows.crs)
    right = gpd.GeoDataFrame({"other": np.arange(len(others))}, geometry=others.geometry.array, crs=rows.crs)
    found = intersect(left, right, left_id="row", right_id="other")
    row = found["row"].to_numpy(dtype=int)
    return gpd.GeoDataFrame(
        {
            "zone": rows["zone"].to_numpy()[row],
            "piece_m2": found["area_m2"].to_numpy(),
            "row": row,
            "other": found["other"].to_numpy(dtype=int),
        },
        geometry=found.geometry.array,
        crs=rows.crs,
    )


def base_year_missing(data: Inputs, *roles: str) -> str:
    """Reason code when the base year is not before the checkup's or a layer has no edition of it; else ``""``."""
    held = all(data.base_year in data.years(role) for role in roles)
    return "" if held and data.base_year < data.year else f"no_base_year:{data.base_year}"


def land_and_people(
    zones: gpd.GeoDataFrame,
    land: tuple[pd.Series, pd.Series],
    people: tuple[pd.Series, pd.Series],
    years: int,
    *,
    min_growth: float,
) -> pd.DataFrame:
    """Yearly growth of built land over yearly (logarithmic) growth of people; each pair is before and now.

    Where people grew or fell by less than ``min_growth`` a year the quotient says nothing and none is given.
    """
    (land_before, land_now), (people_before, people_now) = land, people
    with np.errstate(divide="ignore", invalid="ignore"):
        land_growth = (land_now - land_before) / land_before.where(land_before > 0) / years
        grown = people_now.where(people_now > 0) / people_before.where(people_before > 0)
        growth = pd.Series(np.log(grown.to_numpy()) / years, index=grown.index)
    steady = growth.abs() < min_growth
    reason = pd.Series(np.where(steady, "population_unchanged", ZERO_DENOMINATOR), index=zones.index)
    return result(
        zones,
        (land_growth / growth).mask(steady),
        numerator=land_growth,
        denominator=growth,
        reason=reason,
    )
