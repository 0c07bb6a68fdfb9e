"""Changed land: patches read from two land surveys, and those that only imagery shows.

A patch is a stretch of land that passed from one group of classes to another. Where the surveys and a change patch
from imagery show the same change it is one patch, that of the survey; the image narrows the days between which it
happened. What an image shows and the later survey does not have is a patch of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.core.codes import group, names
from workbench.core.errors import DataQualityError
from workbench.core.paths import PACKAGE
from workbench.operators.area import area_m2
from workbench.operators.change import change_parcels
from workbench.operators.guards import has_columns, same_crs, valid_polygons, without_precision
from workbench.rules.shapes import Geoms, main_class, parts_of, shared, thick, united, without

BUILT = ("not construction", "construction")
"""The change most rules look at: land that became construction land."""
PATCH_COLUMNS = [
    "before", "after", "area_m2", "source", "patch_id", "first", "last", "activity_type", "tblx", "geometry"
]  # fmt: skip
"""Columns of :func:`changed_land`."""
IMAGE_MISMATCH_M = 10.0
"""What is left of an image patch beside the survey's change and is thinner than this is mismatch of the outlines."""
OTHER = "QT"
"""Change patch of which only that the land is no longer what it was is known."""
_SNAP_M = 1e-3


@dataclass(frozen=True)
class Change:
    """Two land surveys and the days they describe."""

    before: gpd.GeoDataFrame
    """Parcels with ``dlbm``."""
    after: gpd.GeoDataFrame
    """Parcels with ``dlbm``."""
    date_before: pd.Timestamp
    """Day of the earlier survey."""
    date_after: pd.Timestamp
    """Day of the later survey."""
    images: gpd.GeoDataFrame | None = None
    """Change patches read from imagery (``date_before, date_after``); they narrow the days of a change they cover."""

    def check(self) -> None:
        """Refuse surveys in the wrong order or in two reference systems.

        Raises
        ------
        DataQualityError, CRSError
        """
        same_crs(self.before, self.after)
        if self.date_after <= self.date_before:
            raise DataQualityError(
                "the later survey is not later", found=f"{self.date_before} … {self.date_after}"
            )


@lru_cache(maxsize=1)
def _patch_codes() -> pd.DataFrame:
    path = PACKAGE / "codes" / "change_patch_codes.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["built_or_disturbed"] = table["built_or_disturbed"] == "1"
    return table.set_index("tblx", drop=False)


def patch_codes() -> pd.DataFrame:
    """Codes of change patches (``tblx``): names, whether land is built on or disturbed, the nearest survey class.

    Returns
    -------
    DataFrame
        ``tblx, name_zh, name_en, built_or_disturbed (bool), dlbm ("" when none), source, confidence``, indexed by
        ``tblx``.
    """
    return _patch_codes().copy()


def class_names(lang: str) -> dict[str, str]:
    """Name of every survey class and of every change patch code in ``zh`` or ``en``."""
    table = _patch_codes()
    return dict(zip(table.index, table[f"name_{lang}"], strict=True)) | names(lang)


def members(wanted: str) -> tuple[frozenset[str], bool]:
    """Survey classes of ``"group"`` or ``"not group"``, and whether they are those that must not be met.

    >>> members("not construction")[1]
    True
    """
    name = wanted.removeprefix("not ")
    return group(name), name != wanted


def belongs(codes: npt.NDArray[np.object_], wanted: str) -> npt.NDArray[np.bool_]:
    """Whether each survey class is one of ``"group"``, or none of it for ``"not group"``; an empty one never is."""
    listed, turned = members(wanted)
    table, of = np.unique(codes.astype(str), return_inverse=True)
    inside = np.array([(code in listed) != turned and code != "" for code in table], dtype=bool)
    return inside[of] if len(table) else np.zeros(0, dtype=bool)


def changed_land(
    change: Change | None, images: gpd.GeoDataFrame | None, from_: str = BUILT[0], to: str = BUILT[1]
) -> gpd.GeoDataFrame:
    """Patches that passed from one group of classes to another.

    Parameters
    ----------
    change : Change or None
        Two surveys; None where a city has only imagery.
    images : GeoDataFrame or None
        Change patches: ``patch_id, tblx, date_before, date_after``, ``before_dlbm`` and ``activity_type`` where known.
    from_, to : str
        A group of land classes, or ``not`` and a group.

    Returns
    -------
    GeoDataFrame
        Columns :data:`PATCH_COLUMNS`, index 0 … n-1: survey patches first. ``after`` is the survey class or the
        nearest one to ``tblx``, ``first`` and ``last`` the days of the surveys or images, ``source`` is ``survey``
        or ``image``.

    Raises
    ------
    DataQualityError, CRSError, ParameterError
        Invalid polygons, another CRS, missing columns, or image patches without usable days where no survey gives any.
    """
    frames = []
    if change is not None:
        frames.append(_survey_patches(change, from_, to))
    if images is not None and len(images):
        frames.append(_image_patches(images, change, frames[0] if frames else None, from_, to))
    frames = [frame for frame in frames if len(frame)]
    crs = change.before.crs if change is not None else None if images is None else images.crs
    if not frames:
        return gpd.GeoDataFrame(columns=PATCH_COLUMNS, geometry="geometry", crs=crs)
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), geometry="geometry", crs=crs)


def merged_change(before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, from_: str, to: str) -> gpd.GeoDataFrame:
    """Pieces between two surveys that changed group, touching ones of one later class merged.

    Returns
    -------
    GeoDataFrame[before, after, area_m2, geometry]
        ``before`` is the class with the largest part of the patch; ellipsoidal m²; index = 0 … n-1.

    Notes
    -----
    A parcel whose outline is in both surveys is compared with its twin alone: parcels of one survey do not overlap.
    """
    has_columns(before, ["dlbm"], where="before")
    has_columns(after, ["dlbm"], where="after")
    same_crs(before, after)
    was_code = before["dlbm"].fillna("").to_numpy(object)
    now_code = after["dlbm"].fillna("").to_numpy(object)
    start, end = belongs(was_code, from_), belongs(now_code, to)
    own, layer = valid_polygons(after, where="after"), valid_polygons(before, where="before")
    twin = np.full(len(after), -1)
    twin[end] = _twins(own[end], layer)
    kept = end & (
        twin >= 0
    )  # a parcel of unchanged outline: its former class is that of its twin, and no other
    kept[kept] = start[twin[kept]] & (was_code[twin[kept]] != now_code[kept])
    whole = gpd.GeoDataFrame(
        {
            "before_dlbm": was_code[twin[kept]],
            "after_dlbm": now_code[kept],
            "area_m2": area_m2(own[kept], before.crs),
        },
        geometry=own[kept],
        crs=before.crs,
    )
    pieces = change_parcels(before[start], after[end & (twin < 0)])
    pieces = gpd.GeoDataFrame(
        pd.concat([part for part in (whole, pieces) if len(part)] or [pieces]), crs=before.crs
    )
    shapes: list[Any] = []
    was: list[str] = []
    now: list[str] = []
    for code, same in pieces.groupby("after_dlbm", sort=True):
        merged, former = _merge(same)
        shapes += list(merged)
        was += former
        now += [str(code)] * len(merged)
    geometry = np.array([*shapes, None], dtype=object)[:-1]
    frame = gpd.GeoDataFrame({"before": was, "after": now}, geometry=geometry, crs=before.crs)
    frame.insert(2, "area_m2", area_m2(frame.geometry, before.crs))
    return frame


def _twins(shapes: Geoms, layer: Geoms) -> npt.NDArray[np.intp]:
    """Position in a layer of the polygon with exactly the outline of each shape; -1 where there is none."""
    known: dict[bytes, int] = {}
    for at, outline in enumerate(shapely.to_wkb(layer)):
        known[outline] = -1 if outline in known else at  # one that is there twice is no one's twin
    return np.array([known.get(outline, -1) for outline in shapely.to_wkb(shapes)], dtype=np.intp)


def _merge(same: gpd.GeoDataFrame) -> tuple[Geoms, list[str]]:
    """Merge touching pieces; return the patches and the former class with the largest part of each."""
    own = same.geometry.to_numpy()
    snapped, _ = parts_of(shapely.set_precision(own, _SNAP_M))
    i, j = shapely.STRtree(snapped).query(snapped, predicate="intersects")
    count, group_of = connected_components(
        coo_array((np.ones(len(i), dtype=bool), (i, j)), shape=(len(snapped), len(snapped))), directed=False
    )
    merged, _ = parts_of(united(snapped, group_of.astype(np.intp), count, grid_m=_SNAP_M))
    merged = without_precision(merged)  # later cuts are exact, not rounded to the grid of this union
    owner, piece = shapely.STRtree(shapely.point_on_surface(own)).query(merged, predicate="intersects")
    table = pd.DataFrame({"patch": owner, "before": same["before_dlbm"].to_numpy()[piece]})
    table["area"] = same["area_m2"].to_numpy()[piece]
    sums = table.groupby(["patch", "before"], sort=True)["area"].sum().reset_index()
    former = np.full(len(merged), "", dtype=object)
    if len(sums):
        best = sums.loc[sums.groupby("patch")["area"].idxmax()]
        former[best["patch"].to_numpy()] = best["before"].astype(str).to_numpy()
    return merged, [str(one) for one in former]


def _survey_patches(change: Change, from_: str, to: str) -> gpd.GeoDataFrame:
    frame = merged_change(change.before, change.after, from_, to)
    frame = frame.assign(
        source="survey",
        patch_id="",
        first=pd.Timestamp(change.date_before),
        last=pd.Timestamp(change.date_after),
        activity_type="",
        tblx="",
    )
    return frame[PATCH_COLUMNS]


def _image_patches(
    images: gpd.GeoDataFrame,
    change: Change | None,
    known: gpd.GeoDataFrame | None,
    from_: str,
    to: str,
) -> gpd.GeoDataFrame:
    """Image patches of the change asked for, less what the surveys show as well or had before."""
    has_columns(images, ["patch_id", "tblx", "date_before", "date_after"], where="change patches")
    if change is not None:
        same_crs(change.before, images)
    frame = _read_images(images, to)
    shapes = valid_polygons(frame, where="change patches").copy()
    if change is not None:
        codes = change.before["dlbm"].fillna("").to_numpy(object)
        layer = valid_polygons(change.before, where="before")
        shapes = _not_yet(shapes, layer[~belongs(codes, from_) & (codes != "")])
    if known is not None and len(known):
        shapes = _not_yet(shapes, known.geometry.to_numpy())
    keep = ~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)
    frame, shapes = frame.loc[keep].reset_index(drop=True), shapes[keep]
    frame = frame.set_geometry(gpd.GeoSeries(shapes, crs=images.crs))
    if change is not None and len(frame):
        blank = (frame["before"] == "").to_numpy()
        frame.loc[blank, "before"] = main_class(shapes[blank], codes, layer)[0]
    was = belongs(frame["before"].to_numpy(object), from_)
    was |= (frame["before"] == "").to_numpy() & members(from_)[1]  # unknown land is not passed over
    frame = _dated(frame.loc[was].reset_index(drop=True), change)
    return frame.assign(area_m2=area_m2(frame.geometry, images.crs), source="image")[PATCH_COLUMNS]


def _read_images(images: gpd.GeoDataFrame, to: str) -> gpd.GeoDataFrame:
    """Image patches whose code stands for the group of classes asked for, with the columns of a patch."""
    table = _patch_codes()
    tblx = images["tblx"].fillna("").astype(str).to_numpy(object)
    code = table["dlbm"].reindex(tblx).fillna("").to_numpy(object)
    built = table["built_or_disturbed"].reindex(tblx).eq(True).to_numpy()
    listed, turned = members(to)
    if listed == group("construction"):
        now = ~built if turned else built
        now &= np.isin(tblx, table.index)
    else:
        now = belongs(code, to) | ((built | (tblx == OTHER)) & (code == "") & turned)
    text = {
        name: images[name].fillna("").astype(str) if name in images else ""
        for name in ("patch_id", "before_dlbm", "activity_type")
    }
    frame = gpd.GeoDataFrame(
        {
            "before": text["before_dlbm"],
            "after": code,
            "patch_id": text["patch_id"],
            "first": pd.to_datetime(images["date_before"]),
            "last": pd.to_datetime(images["date_after"]),
            "activity_type": text["activity_type"],
            "tblx": tblx,
        },
        geometry=images.geometry.to_numpy(),
        crs=images.crs,
        index=images.index,
    )
    return frame[now & ~images.geometry.is_empty.to_numpy()]


def _not_yet(shapes: Geoms, taken: Geoms) -> Geoms:
    """Take polygons from the shapes; of shapes that lost something, thin remainders are mismatch and go too."""
    i, _, pieces, _ = shared(shapes, taken)
    covers = united(pieces, i, len(shapes))
    left = without(shapes, covers)
    touched = ~shapely.is_missing(covers)
    left[touched] = thick(left[touched], IMAGE_MISMATCH_M)
    return left


def _dated(frame: gpd.GeoDataFrame, change: Change | None) -> gpd.GeoDataFrame:
    """Give patches whose days are missing or in the wrong order those of the surveys."""
    bad = (frame["first"].isna() | frame["last"].isna() | (frame["last"] <= frame["first"])).to_numpy()
    if not bad.any():
        return frame
    if change is None:
        raise DataQualityError(
            "dates of change patches are missing or in the wrong order, and no survey gives any",
            where="change patches",
            found=frame.loc[bad, "patch_id"].head(5).tolist(),
        )
    frame = frame.copy()
    frame.loc[bad, "first"], frame.loc[bad, "last"] = change.date_before, change.date_after
    return frame


def seen_between(
    shapes: Geoms, first: pd.DatetimeIndex, last: pd.DatetimeIndex, images: gpd.GeoDataFrame | None
) -> pd.DataFrame:
    """Days between which pieces changed: those of the image patch that covers most of a piece, else the ones given.

    Parameters
    ----------
    shapes : array of polygons
        Pieces of changed land.
    first, last : DatetimeIndex
        For each piece the days of the surveys.
    images : GeoDataFrame or None
        ``date_before, date_after`` and ``patch_id`` where known; a patch counts from half of the piece upward.

    Returns
    -------
    DataFrame[first, last, patch_id, activity_type]
        One row a piece.
    """
    out = pd.DataFrame({"first": first, "last": last, "patch_id": "", "activity_type": ""})
    if images is None or images.empty or not len(shapes):
        return out
    i, j, pieces, _ = shared(shapes, valid_polygons(images, where="change patches"))
    size = shapely.area(pieces)
    table = pd.DataFrame({"piece": i, "image": j, "size": size}).sort_values(
        ["piece", "size", "image"], ascending=[True, False, True], kind="stable"
    )
    table = table.drop_duplicates("piece")
    table = table[table["size"] >= 0.5 * shapely.area(shapes[table["piece"]])]
    at, image = table["piece"].to_numpy(), images.iloc[table["image"]]
    start = pd.to_datetime(image["date_before"]).to_numpy("datetime64[ns]")
    end = pd.to_datetime(image["date_after"]).to_numpy("datetime64[ns]")
    early, late = first.to_numpy("datetime64[ns]", copy=True), last.to_numpy("datetime64[ns]", copy=True)
    good = ~np.isnat(start) & (start < late[at])
    early[at[good]] = np.maximum(early[at[good]], start[good])
    good = ~np.isnat(end) & (end > first.to_numpy("datetime64[ns]")[at])
    late[at[good]] = np.minimum(late[at[good]], end[good])
    out["first"], out["last"] = early, late
    for name in ("patch_id", "activity_type"):
        if name in image:
            out.loc[at, name] = image[name].fillna("").astype(str).to_numpy()
    return out


def narrowed(change: Change, images: gpd.GeoDataFrame | None) -> Change:
    """Return the change with image patches to narrow its days, where it has none of its own."""
    return change if images is None or change.images is not None else replace(change, images=images)
