"""Plots of the demo city's detailed plans: planned use and limits of intensity for land inside the development boundary.

What is built keeps its use; open land is given uses in patches of a few blocks. Three units have no detailed plan, and
the plan of a fourth takes force after the last year.
"""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from workbench.samples.space import CRS, Array, sample, smooth_noise, stream

APPROVED = "2022-06-30"
LATER = "2026-03-15"
"""Approval of the plan that is not in force in the last year."""
WITHOUT_PLAN = 3
"""Units that have no detailed plan."""
LEAST_M2 = 200.0
"""Smaller remainders at the boundary are no plots."""
FIXED = {
    "05H1": ("0901", "0901", "0902"), "0508": ("110101",), "0601": ("100101", "100101", "100102"),
    "0701": ("070102",), "0702": ("070102",), "08H1": ("0801",),
    "08H2": ("080403", "080404", "080302", "080602", "080501"), "08H2A": ("080401",),
    "0809": ("1302", "1303", "1309"), "0810": ("1401",), "0810A": ("1403",), "09": ("1503",), "1001": ("1201",),
    "1003": ("1202",), "1004": ("1207",), "1005": ("120802",), "1101": ("1701",), "1102": ("1702",), "1103": ("1703",),
    "1104": ("1704",), "1104A": ("1704",), "1106": ("0506",), "1107": ("1705",), "1109": ("1311",),
}  # fmt: skip
"""Survey class of land that keeps its use -> planned classes it is spread over."""
OPEN = (
    ("070102", 0.42),
    ("1401", 0.12),
    ("0901", 0.12),
    ("080403", 0.06),
    ("100101", 0.20),
    ("110101", 0.08),
)
"""Planned classes of open land and their shares, in the order in which the patches follow each other."""
LIMITS: dict[str, tuple[tuple[float, float], tuple[int, ...], float, float]] = {
    "07": ((1.6, 3.2), (36, 54, 80, 100), 25.0, 35.0), "09": ((2.0, 4.5), (40, 60, 80, 120), 45.0, 20.0),
    "10": ((1.2, 2.5), (24, 36, 50), 45.0, np.nan), "11": ((1.0, 2.0), (24, 36), 50.0, np.nan),
    "080": ((0.8, 1.8), (24, 36, 45), 30.0, 35.0),
}  # fmt: skip
"""First digits of the planned class -> floor area ratio from and to, heights (m), most building density and least green (%)."""


def make_plots(seed: int, parcels: gpd.GeoDataFrame, boundary: Any) -> gpd.GeoDataFrame:
    """Plots of the detailed plans.

    Parameters
    ----------
    seed : int
    parcels : GeoDataFrame
        Parcels of the last year: ``dlbm, unit``.
    boundary : geometry
        Area inside the development boundary.

    Returns
    -------
    GeoDataFrame
        ``plot_id, use`` (class of the planning classification), ``far, height_m, density_pct, green_pct`` (missing where
        the plan sets none), ``unit, approved, ended``.
    """
    rng = stream(seed, "plots")
    shapely.prepare(boundary)
    shapes = parcels.geometry.to_numpy()
    mine = np.flatnonzero(shapely.intersects(boundary, shapes))
    whole = shapely.covers(boundary, shapes[mine])
    cut = shapes[mine].copy()
    cut[~whole] = shapely.intersection(cut[~whole], boundary)
    keep = np.isin(shapely.get_type_id(cut), (3, 6)) & (shapely.area(cut) >= LEAST_M2)
    mine, cut = mine[keep], cut[keep]
    unit = parcels["unit"].to_numpy()[mine]
    use = _uses(rng, parcels["dlbm"].to_numpy()[mine], cut)
    order = rng.permutation(np.unique(unit))
    without, later = order[:WITHOUT_PLAN], order[WITHOUT_PLAN]
    frame = gpd.GeoDataFrame({"use": use, **_limits(rng, use)}, geometry=cut, crs=CRS)
    frame["unit"] = unit
    frame["approved"] = pd.to_datetime(np.where(unit == later, LATER, APPROVED)).astype("datetime64[ms]")
    frame["ended"] = pd.Series(pd.NaT, index=frame.index).astype("datetime64[ms]")
    frame = frame[~frame["unit"].isin(without)].reset_index(drop=True)
    number = frame.groupby("unit").cumcount() + 1
    frame.insert(0, "plot_id", [f"{u}-{n:04d}" for u, n in zip(frame["unit"], number, strict=True)])
    return frame


def _uses(rng: np.random.Generator, dlbm: Array, shapes: Array) -> Array:
    """Planned class of each piece."""
    x, y = shapely.get_coordinates(shapely.point_on_surface(shapes)).T
    lean = sample(smooth_noise(rng, 1500), x, y)
    rank = np.argsort(np.argsort(lean, kind="stable"), kind="stable") / len(lean)
    ends = np.cumsum([share for _, share in OPEN])
    names = np.array([name for name, _ in OPEN])
    use = names[np.minimum(np.searchsorted(ends, rank, side="right"), len(names) - 1)].astype(object)
    draw = rng.random(len(dlbm))
    for code, planned in FIXED.items():
        at = np.flatnonzero(dlbm == code)
        use[at] = np.array(planned, dtype=object)[(draw[at] * len(planned)).astype(int)]
    return use


def _limits(rng: np.random.Generator, use: Array) -> dict[str, Array]:
    """Limits of each plot; missing for streets, water and green."""
    found = {name: np.full(len(use), np.nan) for name in ("far", "height_m", "density_pct", "green_pct")}
    dense, tall = rng.random(len(use)), rng.random(len(use))
    for prefix, ((low, high), heights, density, green) in LIMITS.items():
        at = np.flatnonzero([code.startswith(prefix) for code in use])
        found["far"][at] = np.round(low + (high - low) * dense[at], 1)
        found["height_m"][at] = np.array(heights, dtype=float)[(tall[at] * len(heights)).astype(int)]
        found["density_pct"][at], found["green_pct"][at] = density, green
    return found
