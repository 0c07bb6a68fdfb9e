"""The small town: a few cells drawn by hand, for docstrings, worked examples and tests.

Its upper left corner lies on the central meridian of EPSG:4547 (114° E), where one metre on the map
is one metre on the ground to better than one part in ten million: areas can be checked in the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rioxarray  # noqa: F401  (registers the .rio accessor)
import shapely
import xarray as xr
from affine import Affine

CRS = "EPSG:4547"
LEFT, TOP = 500_000.0, 2_567_000.0


def land_cover(rows: Sequence[Sequence[int]], cell: float = 100) -> xr.DataArray:
    """Class codes drawn row by row, as a raster with one value a cell.

    Parameters
    ----------
    rows : sequence of sequences of int
        From north to south; every row of equal length; 0 to 255.
    cell : float
        Edge of a cell in metres; 100 makes cells of one hectare.

    Returns
    -------
    xr.DataArray of uint8, dims (y, x)
        EPSG:4547, coordinates are cell centres.

    Raises
    ------
    ValueError
        The rows are not of equal length.

    Examples
    --------
    >>> land_cover([[1, 1], [2, 3]]).values.tolist()
    [[1, 1], [2, 3]]
    """
    values = np.array(rows, dtype=np.uint8)
    if values.ndim != 2:
        raise ValueError(f"rows must be of equal length, found {[len(row) for row in rows]}")
    height, width = values.shape
    raster = xr.DataArray(
        values,
        dims=("y", "x"),
        coords={"y": TOP - (np.arange(height) + 0.5) * cell, "x": LEFT + (np.arange(width) + 0.5) * cell},
        name="land_cover",
    )
    raster = raster.rio.write_crs(CRS)
    raster = raster.rio.write_transform(Affine(cell, 0.0, LEFT, 0.0, -cell, TOP))
    assert isinstance(raster, xr.DataArray)
    return raster


def parcels(
    rows: Sequence[Sequence[str]],
    cell: float = 100,
    *,
    czcsxm: Mapping[str, str] | None = None,
    net_share: float = 1.0,
) -> gpd.GeoDataFrame:
    """Land-use parcels drawn row by row, one square parcel a cell, in the ``land_use`` schema.

    Parameters
    ----------
    rows : sequence of sequences of str
        Survey codes (DLBM) from north to south. ``"0701/201"`` gives the town and village
        attribute (CZCSXM) after the stroke; an empty string leaves a hole.
    cell : float
        Edge of a cell in metres; 100 makes parcels of one hectare.
    czcsxm : mapping of str to str, optional
        CZCSXM for codes written without a stroke.
    net_share : float
        Net area (TBDLMJ) as a share of the gross area (TBMJ).

    Returns
    -------
    gpd.GeoDataFrame
        parcel_id, dlbm, czcsxm, area_m2, net_area_m2, district, unit, geometry; EPSG:4547.

    Examples
    --------
    >>> town = parcels([["0101", "0701/203"]])
    >>> town[["dlbm", "czcsxm", "area_m2"]].values.tolist()
    [['0101', '', 10000.0], ['0701', '203', 10000.0]]
    """
    records = []
    for row, codes in enumerate(rows):
        for column, text in enumerate(codes):
            if text:
                dlbm, _, attribute = text.partition("/")
                records.append((row, column, dlbm, attribute or (czcsxm or {}).get(dlbm, "")))
    row_of, column_of, dlbm_of, attribute_of = map(list, zip(*records, strict=True)) if records else ([],) * 4
    rows_, columns_ = np.array(row_of, dtype=float), np.array(column_of, dtype=float)
    boxes = shapely.box(
        LEFT + columns_ * cell, TOP - (rows_ + 1) * cell, LEFT + (columns_ + 1) * cell, TOP - rows_ * cell
    )
    return gpd.GeoDataFrame(
        {
            "parcel_id": [f"P{number + 1:04d}" for number in range(len(records))],
            "dlbm": dlbm_of,
            "czcsxm": attribute_of,
            "area_m2": np.full(len(records), float(cell) ** 2),
            "net_area_m2": np.full(len(records), float(cell) ** 2 * net_share),
            "district": ["D1"] * len(records),
            "unit": ["U1"] * len(records),
        },
        geometry=boxes,
        crs=CRS,
    )


def points(
    places: Sequence[tuple[float, float]], cell: float = 100, **columns: Sequence[Any] | str | float
) -> gpd.GeoDataFrame:
    """Points given by their place on the drawing, in cells from the upper left corner.

    Parameters
    ----------
    places : sequence of (column, row)
        ``(0.5, 0.5)`` is the centre of the upper left cell.
    cell : float
        Edge of a cell in metres.
    **columns
        Attributes; one value for all, or one a point.

    Returns
    -------
    gpd.GeoDataFrame
        EPSG:4547.

    Examples
    --------
    >>> school = points([(0.5, 0.5)], kind="primary_school")
    >>> float(school.geometry[0].x - 500_000)
    50.0
    """
    x = np.array([LEFT + column * cell for column, _ in places])
    y = np.array([TOP - row * cell for _, row in places])
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(places)))
    return gpd.GeoDataFrame(frame, geometry=shapely.points(x, y), crs=CRS)


def roads(
    lines: Sequence[Sequence[tuple[float, float]]],
    cell: float = 100,
    *,
    road_class: str | Sequence[str] = "residential",
    walkable: bool | Sequence[bool] = True,
) -> gpd.GeoDataFrame:
    """Roads given by the places they pass, in cells from the upper left corner.

    Parameters
    ----------
    lines : sequence of sequences of (column, row)
        One road each; roads meet where they share a place.
    cell : float
        Edge of a cell in metres.
    road_class, walkable : scalar or sequence
        Attributes; one value for all, or one a road.

    Returns
    -------
    gpd.GeoDataFrame
        road_id, road_class, walkable, drive_kmh, name, geometry; EPSG:4547.

    Examples
    --------
    >>> float(roads([[(0, 0), (3, 0)]]).length[0])
    300.0
    """
    frame = pd.DataFrame(
        {"road_class": road_class, "walkable": walkable, "drive_kmh": 30.0, "name": ""},
        index=pd.RangeIndex(len(lines)),
    )
    frame.insert(0, "road_id", [f"R{number + 1:04d}" for number in range(len(lines))])
    shapes = [shapely.LineString([(LEFT + c * cell, TOP - r * cell) for c, r in line]) for line in lines]
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=CRS)


def zones(
    boxes: Mapping[str, tuple[float, float, float, float]], cell: float = 100, *, parent: str = "demo"
) -> gpd.GeoDataFrame:
    """Rectangular zones given in cells from the upper left corner, in the schema of ``CityData.zones``.

    Parameters
    ----------
    boxes : mapping of code to (left, top, right, bottom)
        Columns and rows of the drawing.
    cell : float
        Edge of a cell in metres.
    parent : str
        Code of the zone above.

    Returns
    -------
    gpd.GeoDataFrame
        code, name, parent, geometry; EPSG:4547.

    Examples
    --------
    >>> float(zones({"D1": (0, 0, 2, 1)}).area[0])
    20000.0
    """
    shapes = [
        shapely.box(LEFT + left * cell, TOP - bottom * cell, LEFT + right * cell, TOP - top * cell)
        for left, top, right, bottom in boxes.values()
    ]
    codes = list(boxes)
    return gpd.GeoDataFrame({"code": codes, "name": codes, "parent": parent}, geometry=shapes, crs=CRS)
