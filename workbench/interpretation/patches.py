"""Patches of change: polygons of a change map with what was there before and after, when, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import shapely
import xarray as xr

from workbench.catalog import published
from workbench.core.errors import GridMismatch, ParameterError
from workbench.core.lineage import DIGITS
from workbench.interpretation import change, classes, polygons
from workbench.interpretation.change import CHANGED, STEPS, UNCHANGED, ChangeMap
from workbench.interpretation.imagery import OPENNESS
from workbench.operators.guards import same_crs
from workbench.rules.patches import patch_codes
from workbench.rules.shapes import main_class

if TYPE_CHECKING:
    from workbench.core.city import City
    from workbench.core.layer_spec import Sensitivity

ROLE = "detected_changes"
"""Role under which a city's patches are published."""
COLUMNS = [
    "patch_id", "tblx", "before_class", "after_class", "before_dlbm", "date_before", "date_after", "probability", "area_m2",
    "cells", "geometry",
]  # fmt: skip
"""Columns of :func:`change_patches`."""
BUILT, SOIL, OTHER = "20", "TD", "QT"
"""Codes of change patches: building or structure, pushed soil, other."""
TBLX = {
    "six": {"cropland": "01", "forest": "03", "grass": "04", "water": "KT", "built": BUILT, "bare": SOIL},
    "dynamic_world": {"water": "KT", "trees": "03", "grass": "04", "crops": "01", "shrub_and_scrub": "03", "built": BUILT,
                      "bare": SOIL},
    "loveda": {"building": BUILT, "road": "DL1", "water": "KT", "barren": SOIL, "forest": "03", "agriculture": "01"},
}  # fmt: skip
"""Scheme and image class after a change -> code of the change patch; own judgement."""
NEW_LAND = {"net": True, "irmad": False, "cva": False}
"""Whether a method marks land that became built-up alone; the others mark any change."""
ClassRaster = str | Path | xr.DataArray


def change_patches(
    found: ChangeMap,
    before_map: ClassRaster | None = None,
    after_map: ClassRaster | None = None,
    *,
    mmu_m2: float = 400.0,
    scheme: str = "six",
    survey: gpd.GeoDataFrame | None = None,
    simplify: bool = True,
) -> gpd.GeoDataFrame:
    """Patches of a change map, readable by ``rules.cases.build_cases(patches=…)``.

    Parameters
    ----------
    found : ChangeMap
    before_map, after_map : path or DataArray, optional
        Land-cover maps of both years on the grid of the change map, classes of ``scheme``.
    mmu_m2 : float
        Smallest patch in m²; smaller ones are dropped, gaps of less are filled.
    scheme : str
        Scheme of image classes.
    survey : GeoDataFrame, optional
        Parcels of the earlier survey (``dlbm``): what a patch was.
    simplify : bool
        Straighten the stairs of outlines; areas stay.

    Returns
    -------
    GeoDataFrame
        Columns :data:`COLUMNS`, the likeliest and largest first. Classes are those with most cells of the patch, empty
        without maps. ``tblx`` follows the class after: building (20), pushed soil (TD) …; where the method marks new
        built-up land alone and the map shows anything else, 20. ``before_dlbm`` is the survey's class, empty without
        one. The change lies between the last image of the year before and the last of the year after.
        ``probability``: mean over the cells; ``area_m2`` on the ellipsoid.

    Raises
    ------
    GridMismatch, CRSError
        Maps on another grid, a survey in another reference system.
    """
    record = found.record
    with ExitStack() as stack:
        source = stack.enter_context(polygons.opened(found.path))
        maps = [
            None if one is None else stack.enter_context(polygons.opened(one))
            for one in (before_map, after_map)
        ]
        for one in maps:
            if one is not None and (
                one.shape != source.shape or not one.transform.almost_equals(source.transform)
            ):
                raise GridMismatch(
                    "a land-cover map lies on another grid than the change map", where="change patches",
                    found=f"{one.shape}", expected=f"{source.shape}",
                )  # fmt: skip
        probability = stack.enter_context(rasterio.open(found.probability))
        least = {UNCHANGED: least_cells(mmu_m2, source), CHANGED: least_cells(mmu_m2, source)}
        pieces = polygons.find_pieces(source, least)
        sums = _sums(source, pieces, maps, probability)
        frame = polygons.outlined(source, pieces, simplify=simplify)
    keep = (pieces.classes == CHANGED) & (pieces.cells >= least[CHANGED])
    frame = frame[keep].reset_index(drop=True)
    if survey is not None:
        same_crs(frame, survey)
    table = classes.scheme(scheme)
    names = np.array(["", *table["class"]], dtype=object)
    was, now = (names[one[keep]] for one in sums[:2])
    frame = frame.assign(
        tblx=_codes(was, now, scheme, NEW_LAND[record["method"]]), before_class=was, after_class=now,
        before_dlbm=former_classes(frame.geometry.to_numpy(), survey), probability=sums[2][keep],
    )  # fmt: skip
    return ranked(frame, record, "C")


def ranked(frame: gpd.GeoDataFrame, record: Mapping[str, Any], letter: str) -> gpd.GeoDataFrame:
    """Patches with dates and numbers that begin with a letter, columns :data:`COLUMNS`, the likeliest and largest first.

    ``record`` is that of the change map: the last day before and the last day after of its pairs are the dates.
    """
    before, after = (
        pd.Timestamp(max(one[name] for one in record["pairs"])) for name in ("date_before", "date_after")
    )
    order = np.lexsort((-frame["area_m2"], -frame["probability"].round(2)))
    frame = frame.iloc[order].reset_index(drop=True).assign(date_before=before, date_after=after)
    frame["patch_id"] = [f"{letter}{after:%Y}-{number:05d}" for number in range(1, len(frame) + 1)]
    return gpd.GeoDataFrame(frame[COLUMNS], geometry="geometry", crs=frame.crs)


def least_cells(mmu_m2: float, source: polygons.ClassMap) -> int:
    """Cells of the smallest mapped unit."""
    if not mmu_m2 >= 0:
        raise ParameterError("the smallest mapped unit is an area", where="mmu_m2", found=mmu_m2)
    return int(np.ceil(mmu_m2 / abs(source.transform.determinant) - 1e-9))


def _sums(
    source: polygons.ClassMap, pieces: polygons.Pieces, maps: list[polygons.ClassMap | None], probability: Any
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.float64]]:
    """For each piece the class with most cells in both maps (0 for none) and the mean probability."""
    count = len(pieces.classes)
    votes = [np.zeros((count, 256), dtype=np.int32) if one is not None else None for one in maps]
    total, seen = np.zeros(count), np.zeros(count)
    for first, stop, ids in polygons.numbered(source, pieces):
        inside = ids > 0
        inside[inside] = pieces.classes[ids[inside] - 1] == CHANGED
        at = ids[inside] - 1
        window = rasterio.windows.Window(0, first, source.shape[1], stop - first)
        share = probability.read(1, window=window)[inside]
        known = share <= STEPS
        total += np.bincount(at[known], share[known], minlength=count)
        seen += np.bincount(at[known], minlength=count)
        for vote, one in zip(votes, maps, strict=True):
            if vote is not None and one is not None:
                np.add.at(vote, (at, np.clip(one.read(first, stop)[inside], 0, 255)), 1)
    best = []
    for vote in votes:
        if vote is None:
            best.append(np.zeros(count, dtype=np.int64))
        else:
            vote[:, 0] = 0
            best.append(vote.argmax(axis=1))
    return best[0], best[1], total / np.maximum(seen, 1) / STEPS


def _codes(
    was: npt.NDArray[Any], now: npt.NDArray[Any], scheme: str, new_land: bool
) -> npt.NDArray[np.object_]:
    """Code of each patch from the class after it."""
    known = patch_codes()
    table = TBLX.get(scheme, {})
    codes = []
    for former, later in zip(was, now, strict=True):
        code = table.get(str(later), "")
        if new_land and not (code and known.loc[code, "built_or_disturbed"]):
            code = BUILT
        elif not new_land and (not code or former == later):
            code = OTHER
        codes.append(code)
    return np.array(codes, dtype=object)


def former_classes(shapes: npt.NDArray[Any], survey: gpd.GeoDataFrame | None) -> npt.NDArray[np.object_]:
    """Survey class with most of each shape; empty without a survey."""
    if survey is None or not len(shapes):
        return np.full(len(shapes), "", dtype=object)
    parcels = survey.geometry.to_numpy()
    # mending takes time, and few of a survey's parcels are asked about
    near = np.unique(shapely.STRtree(parcels).query(shapes)[1])
    codes = survey["dlbm"].fillna("").astype(str).to_numpy(object)[near]
    found: npt.NDArray[np.object_] = main_class(shapes, codes, shapely.make_valid(parcels[near]))[0]
    return found


def compared(found: Mapping[str, gpd.GeoDataFrame], lang: str) -> pd.DataFrame:
    """Patches of several methods side by side: how many, their area, and how many lie on a patch of the first method.

    Parameters
    ----------
    found : mapping of str to GeoDataFrame
        Method -> patches, in one reference system.
    lang : {"zh", "en"}
        Language of the headings.
    """
    first = next(iter(found.values()), None)
    rows = []
    for name, frame in found.items():
        shapes = frame.geometry.to_numpy()
        on = 0
        if first is not None and len(first) and len(frame):
            same_crs(first, frame)
            on = len(
                np.unique(shapely.STRtree(first.geometry.to_numpy()).query(shapes, predicate="intersects")[0])
            )
        rows.append((name, len(frame), round(float(frame["area_m2"].sum()) / 1e4, 1), on))
    heads = {
        "zh": ["方法", "图斑", "面积(公顷)", "与首个方法重叠"],
        "en": ["method", "patches", "area (ha)", "on one of the first"],
    }
    return pd.DataFrame(rows, columns=heads[lang])


def publish(
    city: City, year: int, patches: gpd.GeoDataFrame, found: ChangeMap, *, role: str = ROLE, holder: str = ""
) -> Path:
    """Publish patches in the catalogue of a city (role ``detected_changes``), no more open than the images."""
    record = found.record
    inputs = {one["name"]: one["sha256"][:DIGITS] for one in record["inputs"]}
    if record["method"] == "net":
        inputs[f"weights:{record['model']}"] = record["weights"][:DIGITS]
    open_to = record["sensitivity"] if record["sensitivity"] in OPENNESS else OPENNESS[-1]
    return published.publish(
        city, role, year, patches, source=f"影像变化检测({record.get('model', record['method'])})", tier="proxy", holder=holder,
        sensitivity=cast("Sensitivity", open_to), inputs=inputs, properties=change.properties(record),
        note_zh="疑似变化图斑,未经核实", note_en="suspected changes, not verified",
        date=max((one["date_after"] for one in record["pairs"]), default=None),
    )  # fmt: skip
