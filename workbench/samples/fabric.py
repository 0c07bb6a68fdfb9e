"""From cells to parcels: one simplified partition of the city serves all years, so unchanged borders stay equal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import shapely
from pyproj import Proj, Transformer

from workbench.samples.cover import CODES, NEVER, OF, Cover
from workbench.samples.space import BOTTOM, CELL, CRS, LEFT, SIDE, YEARS, Array, N, polygons

_CODES = np.array(CODES)


@dataclass(frozen=True)
class Fabric:
    """Smallest pieces of land; the parcels of each year are unions of them."""

    shapes: Array
    """Polygons that tile the city."""
    codes: Array
    """Survey code in each of YEARS, as an index into CODES; (pieces, 4)."""
    keys: Array
    """Parcel the piece belongs to in each of YEARS; (pieces, 4)."""
    since: Array
    """Year of building, NEVER where not built."""
    town: Array
    """CZCSXM group once built: 0 to 3."""
    unit: Array
    """Planning unit, 1 to n."""
    core: Array
    """Whether in the 城区."""
    planted: Array
    """Number of the planted patch, 0 for none."""

    def select(self, index: Array) -> Fabric:
        """Only some of the pieces."""
        return Fabric(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})


def make_fabric(cover: Cover) -> Fabric:
    """Partition of the city by block, field, code, year of building and planning unit."""
    always = cover.since <= YEARS[0]
    never = cover.since == NEVER
    rural = np.where(always, 0, cover.rural_key * 64 + cover.rural)
    built = np.where(never, 0, (cover.built_key * 64 + cover.built) * 8 + cover.town)
    since = np.where(always, 0, cover.since).astype(np.int64)
    mixed = rural.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= built.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= ((since * 128 + cover.unit) * 2 + cover.core).astype(np.uint64) * np.uint64(0x165667B19E3779F9)
    _, first, labels = np.unique(mixed.ravel(), return_index=True, return_inverse=True)
    labels = rasterio.features.sieve(labels.reshape(N, N).astype(np.int32) + 1, size=9, connectivity=4)
    shapes, value = polygons(labels)
    # polygonizing leaves out vertices on straight borders, which neighbours may have: a coverage needs them all
    shapes = shapely.transform(shapely.segmentize(shapes, CELL), np.round)
    shapes = shapely.coverage_simplify(shapes, 10.0)
    at = first[value - 1]
    since_of = cover.since.ravel()[at]
    rural_code, built_code = cover.rural.ravel()[at], cover.built.ravel()[at]
    rural_key = cover.rural_key.ravel()[at]
    built_key = cover.built_key.ravel()[at] + (1 << 42)
    stands = since_of[:, None] <= np.array(YEARS)[None, :]
    return Fabric(
        shapes=shapes,
        codes=np.where(stands, built_code[:, None], rural_code[:, None]),
        keys=np.where(stands, built_key[:, None], rural_key[:, None]),
        since=since_of,
        town=cover.town.ravel()[at],
        unit=cover.unit.ravel()[at].astype(np.int64),
        core=cover.core.ravel()[at],
        planted=np.zeros(len(shapes), dtype=np.int64),
    )


def polygon_parts(shape: Any) -> list[Any]:
    """Polygons of a geometry, without crumbs."""
    return [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 1e-6]


def cut_in(fabric: Fabric, patches: Array, codes: Array, towns: Array) -> Fabric:
    """Put patches built in the last year into the fabric; what they cover is cut away.

    Parameters
    ----------
    fabric : Fabric
    patches : array of Polygon
    codes, towns : arrays of int
        Survey code (index into CODES) and CZCSXM group of each patch in the last year.

    Returns
    -------
    Fabric
        The cut pieces first lose what lies in a patch; the parts within follow at the end, with the
        patch's number (from 1) in ``planted``.
    """
    tree = shapely.STRtree(fabric.shapes)
    shapes = fabric.shapes.copy()
    gone: list[int] = []
    source: list[int] = []
    added: list[Any] = []
    number: list[int] = []
    for k, patch in enumerate(patches):
        for hit in tree.query(patch, predicate="intersects"):
            inside = polygon_parts(shapely.intersection(shapes[hit], patch))
            if not inside:
                continue
            outside = polygon_parts(shapely.difference(shapes[hit], patch))
            if outside:
                shapes[hit] = outside[0]
            else:
                gone.append(int(hit))
            for part in outside[1:]:
                source.append(int(hit))
                added.append(part)
                number.append(0)
            for part in inside:
                source.append(int(hit))
                added.append(part)
                number.append(k + 1)
    kept = np.setdiff1d(np.arange(len(shapes)), gone)
    base = replace(fabric, shapes=shapes).select(kept)
    extra = fabric.select(np.array(source, dtype=int))
    planted = np.array(number)
    is_patch = planted > 0
    new_codes, new_keys = extra.codes.copy(), extra.keys.copy()
    new_codes[is_patch, -1] = codes[planted[is_patch] - 1]
    new_keys[is_patch, -1] = (1 << 44) + planted[is_patch]
    since = np.where(is_patch, YEARS[-1], extra.since)
    town = np.where(is_patch, towns[np.maximum(planted, 1) - 1], extra.town)
    extra = replace(
        extra,
        shapes=np.array(added, dtype=object),
        codes=new_codes,
        keys=new_keys,
        since=since,
        town=town,
        planted=planted,
    )
    return Fabric(
        **{n: np.concatenate([getattr(base, n), getattr(extra, n)]) for n in fabric.__dataclass_fields__}
    )


def stated_area(shapes: Array) -> Array:
    """Area on the ellipsoid in m² of small polygons: plane area over the areal scale at their middle."""
    x, y = shapely.get_coordinates(shapely.centroid(shapes)).T
    lon, lat = Transformer.from_crs(CRS, "EPSG:4490", always_xy=True).transform(x, y)
    scale = Proj(CRS).get_factors(lon, lat).areal_scale
    area: Array = shapely.area(shapes) / scale
    return area


def unite(shapes: Array, group: Array) -> tuple[Array, Array]:
    """Union of the shapes of each group, single polygons; with the index of one member."""
    order = np.argsort(group, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(group[order])) + 1, len(order)]
    united: list[Any] = []
    member: list[int] = []
    for a, b in pairwise(starts.tolist()):
        index = order[a:b]
        if len(index) == 1:
            united.append(shapes[index[0]])
            member.append(int(index[0]))
            continue
        parts = polygon_parts(shapely.union_all(shapes[index]))
        united += parts
        member += [int(index[0])] * len(parts)
    return np.array(united, dtype=object), np.array(member)


def _key_hash(*columns: Array) -> Array:
    """One integer for each row of several integer columns."""
    frame = pd.DataFrame({str(k): column for k, column in enumerate(columns)})
    return frame.groupby(list(frame.columns), sort=True).ngroup().to_numpy()


def parcels_of(fabric: Fabric, year: int, unit_codes: Array, district_of: Array) -> gpd.GeoDataFrame:
    """Parcels of a year in the ``land_use`` schema.

    Parameters
    ----------
    fabric : Fabric
    year : int
        One of YEARS.
    unit_codes, district_of : arrays
        Code of each planning unit and of its district, by unit number less one.
    """
    at = YEARS.index(year)
    code = fabric.codes[:, at]
    shapes, member = unite(fabric.shapes, _key_hash(fabric.keys[:, at], code, fabric.unit))
    code = code[member]
    unit = fabric.unit[member]
    stands = fabric.since[member] <= year
    attribute = np.array(["", "201", "202", "203"])[np.where(stands, fabric.town[member], 0)]
    attribute = np.where((code == OF["0601"]) & (attribute == "202"), "202A", attribute)
    attribute = np.where(code == OF["0602"], "204", attribute)
    dlbm = _CODES[code]
    gross = np.round(stated_area(shapes), 2)
    centre = shapely.get_coordinates(shapely.centroid(shapes))
    north = (centre[:, 1] - BOTTOM) / SIDE
    ridge = np.where(np.char.startswith(dlbm.astype(str), "01"), np.round(0.02 + 0.09 * north**2, 4), 0.0)
    order = np.lexsort((centre[:, 0], -np.round(centre[:, 1] / 500), unit))
    frame = gpd.GeoDataFrame(
        {
            "dlbm": dlbm.astype(str),
            "czcsxm": attribute.astype(str),
            "area_m2": gross,
            "net_area_m2": np.round(gross * (1 - ridge), 2),
            "district": district_of[unit - 1],
            "unit": unit_codes[unit - 1],
        },
        geometry=shapes,
        crs=CRS,
    ).iloc[order]
    frame.insert(0, "parcel_id", [f"{year}{k + 1:06d}" for k in range(len(frame))])
    return frame.reset_index(drop=True)


__all__ = ["LEFT", "Fabric", "cut_in", "make_fabric", "parcels_of", "polygon_parts", "stated_area", "unite"]
