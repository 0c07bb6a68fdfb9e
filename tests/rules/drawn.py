"""Parcels, lines and permits drawn by hand near the central meridian, where plane and ellipsoid agree."""

import geopandas as gpd
import pandas as pd
from shapely.affinity import translate
from shapely.geometry import box

from workbench.rules.cases import Change, build_cases

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_500_000.0
FIELD = box(X, Y, X + 400, Y + 400)


def at(*bounds):
    return translate(box(*bounds), X, Y)


def frame(shapes, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=CRS)


def survey(*pieces, ground="0103"):
    """Parcels of the field: pieces (shape, class) on one class of ground."""
    rest = FIELD
    for shape, _ in pieces:
        rest = rest.difference(shape)
    return frame([rest, *(shape for shape, _ in pieces)], dlbm=[ground, *(code for _, code in pieces)])


def change(*after, before=(), ground="0103", days=("2024-12-31", "2025-12-31"), images=None):
    first, last = map(pd.Timestamp, days)
    return Change(survey(*before, ground=ground), survey(*after, ground=ground), first, last, images=images)


def line(*shapes, kind="k", approved="2020-06-30", ended=None):
    n = len(shapes)
    return frame(
        shapes,
        line_id=[f"L{k}" for k in range(n)],
        name=["线"] * n,
        kind=[kind] * n if isinstance(kind, str) else kind,
        approved=pd.to_datetime([approved] * n),
        ended=pd.to_datetime(pd.Series([ended] * n, dtype=object)),
    )


def images(*rows):
    """Change patches: (shape, tblx, date_before, date_after[, before_dlbm])."""
    return frame(
        [row[0] for row in rows],
        patch_id=[f"JC{k}" for k in range(len(rows))],
        tblx=[row[1] for row in rows],
        before_dlbm=[row[4] if len(row) > 4 else "" for row in rows],
        date_before=pd.to_datetime(pd.Series([row[2] for row in rows], dtype=object)),
        date_after=pd.to_datetime(pd.Series([row[3] for row in rows], dtype=object)),
    )


def permit(*rows, **more):
    """Permits: (kind, approved, ended, shape)."""
    return frame(
        [row[3] for row in rows],
        permit_id=[f"P{k}" for k in range(len(rows))],
        kind=[row[0] for row in rows],
        approved=pd.to_datetime(pd.Series([row[1] for row in rows], dtype=object)),
        ended=pd.to_datetime(pd.Series([row[2] for row in rows], dtype=object)),
        **more,
    )


NO_PERMITS = permit(("农转用", "2019-01-01", None, at(5000, 5000, 5010, 5010)))
DISTRICTS = frame([at(-100, -100, 200, 500), at(200, -100, 500, 500)], code=["A", "B"], name=["甲区", "乙区"])
HOUSE = at(50, 50, 80, 70)
"""600 m² in district A."""


def cases(what, lines, rules, *, permits=NO_PERMITS, all_rows=False, **more):
    found = build_cases(what, lines, rules, permits=permits, districts=DISTRICTS, units=None, **more)
    return found if all_rows else found[~found["outcome"].isin(["small", "sliver"])]
