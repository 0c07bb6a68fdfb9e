"""What became of the land since the base year, and the pattern of the landscape at both dates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import xarray as xr

from workbench.core import codes
from workbench.core.errors import GridMismatch, LayerMissing, ParameterError
from workbench.evaluation.structure.part import Case, Part, frame_of, missing_layer, need
from workbench.operators.align import Misfit, align
from workbench.operators.area import area_m2
from workbench.operators.change import change_parcels, check_same_grid, transition_matrix
from workbench.operators.landscape import METRICS, class_metrics, landscape, landscape_metrics
from workbench.operators.sampled_area import stratified_areas

ROLE, PARCELS, SAMPLE = "land_use_raster", "land_use", "reference_sample"
OTHER = "other"
COLUMNS = (
    "before",
    "after",
    "before_zh",
    "after_zh",
    "before_en",
    "after_en",
    "ha",
    "low",
    "high",
    "mapped_ha",
    "points",
)
SHOWN = (
    "patches",
    "patch_density",
    "largest_patch",
    "edge_density",
    "mean_patch_ha",
    "weighted_shape",
    "aggregation",
    "cohesion",
)
"""Metrics of classes that become figures; the table has all."""


def group_names(groups: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Names of the groups in Chinese and English, ``other`` included."""
    table = codes.groups()
    named = {one: (str(table.at[one, "name_zh"]), str(table.at[one, "name_en"])) for one in groups}
    return {**named, OTHER: ("其他土地", "other land")}


def group_of(groups: tuple[str, ...]) -> dict[str, str]:
    """Group of each survey class; the first that holds it."""
    table = codes.survey_codes()
    found = dict.fromkeys(table.index[table["kind"] == "dlbm"], OTHER)
    for name in reversed(groups):
        found |= dict.fromkeys(codes.group(name) & set(found), name)
    return found


def grouped(raster: xr.DataArray, groups: tuple[str, ...]) -> xr.DataArray:
    """Class raster with the number of each group from 1 (the last: other) instead of classes; 0 without a class."""
    numbers = np.zeros(256, dtype=np.uint8)
    order = {name: k for k, name in enumerate((*groups, OTHER), start=1)}
    for code, name in group_of(groups).items():
        try:
            numbers[codes.raster_code(code)] = order[name]
        except ParameterError:  # a class that no raster holds
            continue
    values = raster.squeeze(drop=True)
    values = values.transpose("y", "x")
    return xr.DataArray(
        numbers[np.asarray(values.to_numpy(), dtype=np.uint8)],
        values.coords,
        ("y", "x"),
        raster.name,
        raster.attrs,
    )


def on_one_grid(
    before: xr.DataArray, after: xr.DataArray, most_shift: float
) -> tuple[xr.DataArray, xr.DataArray, Misfit | None]:
    """Both rasters as they are when their grids agree; else the second laid on the first, with what was off.

    Raises
    ------
    GridMismatch
        When they are farther apart than may be accepted.
    """
    try:
        check_same_grid(before, after)
    except GridMismatch:
        return align(before, after, most_shift=most_shift)
    return before, after, None


def report_misfit(part: Part, misfit: Misfit | None) -> None:
    """Finding of two grids that did not agree."""
    if misfit is None or misfit.same:
        return
    a, b = misfit.cell_before[0], misfit.cell_after[0]
    part.find(
        "grids_differ",
        f"两期栅格不对齐：像元边长{a:.3f}米与{b:.3f}米，最大错位{misfit.shift_m:.1f}米（{misfit.shift_cells:.2f}个像元），"
        f"{misfit.lost}个像元无对应；已按最近像元对应，图斑边界上的变化不可信",
        f"the two rasters do not align: cells of {a:.3f} m and {b:.3f} m, up to {misfit.shift_m:.1f} m apart "
        f"({misfit.shift_cells:.2f} cells), {misfit.lost} cells without a partner; each cell took its nearest, and change along "
        "the borders of patches is not to be trusted",
    )


def transitions(case: Case) -> Part:
    """Area that passed between groups of classes since the base year, with intervals where points were checked.

    Raises
    ------
    LayerMissing
        Without a survey of both years.
    """
    part = Part("transition")
    base = case.city.base_year
    groups = case.settings.parameters.landscape_groups
    if base >= case.year:
        raise LayerMissing(PARCELS, base, reason="no_earlier_year", holder=case.data.holder(PARCELS))
    mapped: pd.DataFrame
    if case.has(ROLE, base) and case.has(ROLE):
        part.roles = (ROLE,)
        before, after = (grouped(case.data.raster(ROLE, one), groups) for one in (base, case.year))
        before, after, misfit = on_one_grid(before, after, case.settings.parameters.most_shift)
        report_misfit(part, misfit)
        matrix = transition_matrix(before, after)
        names = dict(enumerate((*groups, OTHER), start=1))
        matrix = matrix.drop(index=0, columns=0, errors="ignore").rename(index=names, columns=names)
        long = matrix.rename_axis(index="before", columns="after").stack()
        mapped = pd.Series(long, name="ha").reset_index()
        lookup = (before, after, names)
    elif case.has(PARCELS, base) and case.has(PARCELS):
        part.roles = (PARCELS,)
        mapped, lookup = _of_parcels(case, groups), None
    else:
        raise missing_layer(case, PARCELS, base if case.has(PARCELS) else None)
    mapped = mapped[mapped["ha"] > 0]
    table = _with_interval(case, part, mapped, lookup)
    names_of = group_names(groups)
    for side in ("before", "after"):
        for k, lang in enumerate(("zh", "en")):
            table[f"{side}_{lang}"] = [names_of[one][k] for one in table[side]]
    table = table.sort_values("ha", ascending=False, kind="stable").reset_index(drop=True)
    part.tables["transitions"] = table[list(COLUMNS)]
    _flows(part, table, base, case.year)
    return part


def _of_parcels(case: Case, groups: tuple[str, ...]) -> pd.DataFrame:
    """Hectares between groups from the parcels of two surveys; what did not change is the rest of each group."""
    before, after = case.vector(PARCELS, case.city.base_year), case.vector(PARCELS)
    kinds = group_of(groups)
    changed = change_parcels(before, after, groups=kinds)
    changed["before"] = [kinds.get(one, OTHER) for one in changed["before_dlbm"]]
    changed["after"] = [kinds.get(one, OTHER) for one in changed["after_dlbm"]]
    found = changed.groupby(["before", "after"])["area_m2"].sum() / 1e4
    was = (
        pd.Series(area_m2(before.geometry.to_numpy(), before.crs))
        .groupby([kinds.get(c, OTHER) for c in before["dlbm"]])
        .sum()
    )
    left = found.groupby(level="before").sum().reindex(was.index).fillna(0.0)
    same = (was / 1e4 - left).clip(lower=0.0)
    same.index = pd.MultiIndex.from_arrays([same.index, same.index], names=["before", "after"])
    return pd.Series(pd.concat([found, same]), name="ha").reset_index()


def _with_interval(
    case: Case,
    part: Part,
    mapped: pd.DataFrame,
    lookup: tuple[xr.DataArray, xr.DataArray, dict[int, str]] | None,
) -> pd.DataFrame:
    """Areas of a reference sample with their intervals; those of the map, without, where there is none."""
    plain = mapped.assign(mapped_ha=mapped["ha"], low=np.nan, high=np.nan, points=0)
    if not case.has(SAMPLE) or lookup is None:
        part.find(
            "no_sample", "没有参考样本，转移面积为图上统计值，不带置信区间",
            "no reference sample: areas are counts of the map and have no interval",
        )  # fmt: skip
        return plain
    sample = case.vector(SAMPLE)
    on_map = _at(sample.geometry.to_numpy(), lookup)
    truth = sample["before"].astype(str) + ">" + sample["after"].astype(str)
    keep = on_map != ""
    areas = dict(zip(mapped["before"] + ">" + mapped["after"], mapped["ha"], strict=True))
    try:
        found = stratified_areas(
            areas,
            pd.Series(on_map[keep]),
            truth[keep].reset_index(drop=True),
            level=case.settings.parameters.level,
        )
    except ParameterError as error:
        part.find(
            "thin_sample",
            f"参考样本不足以估计区间：{error}",
            f"the reference sample gives no interval: {error}",
        )
        return plain
    part.roles = (*part.roles, SAMPLE)
    pairs = found.index.to_series().str.split(">", expand=True)
    return pd.DataFrame(
        {
            "before": pairs[0].to_numpy(), "after": pairs[1].to_numpy(), "ha": found["area"].to_numpy(),
            "low": found["low"].to_numpy(), "high": found["high"].to_numpy(), "mapped_ha": found["mapped"].to_numpy(),
            "points": found["points"].to_numpy(),
        }
    )  # fmt: skip


def _at(
    points: npt.NDArray[np.object_], lookup: tuple[xr.DataArray, xr.DataArray, dict[int, str]]
) -> npt.NDArray[np.object_]:
    """``before>after`` on the map at each point; empty outside."""
    before, after, names = lookup
    x, y = before["x"].to_numpy(), before["y"].to_numpy()
    xy = shapely.get_coordinates(points)
    column = np.rint((xy[:, 0] - x[0]) / ((x[-1] - x[0]) / (len(x) - 1))).astype(int)
    row = np.rint((xy[:, 1] - y[0]) / ((y[-1] - y[0]) / (len(y) - 1))).astype(int)
    inside = (column >= 0) & (column < len(x)) & (row >= 0) & (row < len(y))
    found = np.full(len(points), "", dtype=object)
    a, b = before.to_numpy()[row[inside], column[inside]], after.to_numpy()[row[inside], column[inside]]
    found[inside] = [
        f"{names[i]}>{names[j]}" if i and j else "" for i, j in zip(a.tolist(), b.tolist(), strict=True)
    ]
    return found


def _flows(part: Part, table: pd.DataFrame, base: int, year: int) -> None:
    """Gains and losses of each group as figures."""
    moved = table[table["before"] != table["after"]]
    part.fact(
        "changed",
        float(moved["ha"].sum()),
        unit="ha",
        decimals=1,
        basis=f"land whose group changed, {base} to {year}",
    )
    for name in sorted({*table["before"], *table["after"]}):
        gain, loss = (float(moved.loc[moved[side] == name, "ha"].sum()) for side in ("after", "before"))
        for item, value in (("gain", gain), ("loss", loss), ("net", gain - loss)):
            part.fact(
                f"{item}.{name}",
                value,
                unit="ha",
                decimals=1,
                basis=f"{item} of {name} land, {base} to {year}",
            )
    for row in table.to_dict("records"):
        part.fact(
            f"flow.{row['before']}.{row['after']}", float(row["ha"]), unit="ha", decimals=1, low=float(row["low"]),
            high=float(row["high"]), basis=f"from {row['before']} to {row['after']}, {base} to {year}",
        )  # fmt: skip


def pattern(case: Case) -> Part:
    """Landscape metrics of groups of classes for the base year and the year.

    Raises
    ------
    LayerMissing
        Without a class raster of the year.
    """
    need(case, ROLE)
    part = Part("landscape", roles=(ROLE,))
    settings = case.settings.parameters
    names = group_names(settings.landscape_groups)
    keys = (*settings.landscape_groups, OTHER)
    years = [one for one in dict.fromkeys((case.city.base_year, case.year)) if case.has(ROLE, one)]
    rows = []
    for year in years:
        raster = grouped(case.data.raster(ROLE, year), settings.landscape_groups)
        found = landscape(raster, nodata=0, neighbours=settings.neighbours)
        whole = landscape_metrics(found)
        for metric, value in whole.items():
            rows.append((year, "landscape", "", "", "", metric, float(value), METRICS[str(metric)][0]))
            part.fact(
                f"{metric}.{year}", float(value), unit=_unit(str(metric)), decimals=_decimals(str(metric)),
                basis=f"landscape metric, {METRICS[str(metric)][2]}",
            )  # fmt: skip
        for number, line in class_metrics(found).iterrows():
            key = keys[int(str(number)) - 1]
            for metric, value in line.items():
                rows.append((year, "class", key, *names[key], metric, float(value), METRICS[str(metric)][0]))
                if metric in SHOWN or metric == "pland":
                    part.fact(
                        f"{metric}.{key}.{year}", float(value), unit=_unit(str(metric)), decimals=_decimals(str(metric)),
                        basis=f"landscape metric of {key} land, {METRICS[str(metric)][2]}",
                    )  # fmt: skip
    columns = ("year", "level", "class", "class_zh", "class_en", "metric", "value", "unit")
    part.tables["landscape"] = frame_of([dict(zip(columns, row, strict=True)) for row in rows], columns)
    return part


def _unit(metric: str) -> str:
    """Unit known to the value table."""
    unit = METRICS[metric][0]
    return unit if unit in ("ha", "%", "count", "m", "1", "m/ha") else "1"


def _decimals(metric: str) -> int:
    return (
        0 if METRICS[metric][0] in ("count", "m") else (2 if METRICS[metric][0] in ("1", "1/100 ha") else 1)
    )
