"""What each layer role looks like after standardisation: geometry, fields, and the field that names a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Family = Literal["polygon", "line", "point"]


@dataclass(frozen=True)
class Role:
    """Standard form of a layer role."""

    family: Family | None
    """Geometry; None for tables."""
    required: tuple[str, ...] = ()
    """Fields the role is useless without."""
    optional: tuple[str, ...] = ()
    """Fields filled with empty values when the file has none."""
    key: str | None = None
    """Field that names a row; numbered when the file has none."""
    coverage: bool = False
    """Whether the polygons should not overlap."""
    types: dict[str, str] = field(default_factory=dict)
    """Field -> ``text``, ``number``, ``date`` or ``bool``; ``text`` when not listed."""


def _line_role() -> Role:
    dates = {"approved": "date", "ended": "date"}
    return Role("polygon", (), ("name", "kind", "approved", "ended"), key="line_id", types=dates)


ROLES: dict[str, Role] = {
    "districts": Role("polygon", ("code", "name"), ("name_en",), key="code", coverage=True),
    "units": Role("polygon", ("code", "name"), ("district",), key="code", coverage=True),
    "boundary": Role("polygon", (), ("code", "name")),
    "scopes": Role("polygon", ("scope",)),
    "land_use": Role(
        "polygon",
        ("dlbm",),
        ("czcsxm", "area_m2", "net_area_m2", "district", "unit"),
        key="parcel_id",
        coverage=True,
        types={"area_m2": "number", "net_area_m2": "number"},
    ),
    **{
        role: _line_role()
        for role in (
            "permanent_farmland",
            "ecological_red_line",
            "development_boundary",
            "green_line",
            "blue_line",
            "purple_line",
            "yellow_line",
            "nature_reserve",
            "flood_line",
            "heritage_line",
            "mineral_line",
            "industrial_line",
        )
    },
    "plots": Role(
        "polygon",
        ("use",),
        ("far", "height_m", "density_pct", "green_pct", "unit", "approved", "ended"),
        key="plot_id",
        types={
            **dict.fromkeys(("far", "height_m", "density_pct", "green_pct"), "number"),
            **dict.fromkeys(("approved", "ended"), "date"),
        },
    ),
    "change_patches": Role(
        "polygon",
        ("tblx",),
        ("before_dlbm", "date_before", "date_after"),
        key="patch_id",
        types={"date_before": "date", "date_after": "date"},
    ),
    "projects": Role(
        "polygon", (), ("name", "stage", "start_date"), key="project_code", types={"start_date": "date"}
    ),
    "permits": Role(
        "polygon",
        ("kind",),
        ("project_code", "approved", "ended"),
        key="permit_id",
        types={"approved": "date", "ended": "date"},
    ),
    "roads": Role(
        "line",
        ("road_class",),
        ("walkable", "drive_kmh", "name", "route_share"),
        key="road_id",
        types={"walkable": "bool", "drive_kmh": "number", "route_share": "number"},
    ),
    "rail_lines": Role("line", (), ("name",), key="line_id"),
    "metro_lines": Role("line", (), ("name",), key="line_id"),
    "rail_stations": Role("point", ("name",), ("line",), key="station_id"),
    "bus_stops": Role("point", (), ("name", "headway_min"), key="stop_id", types={"headway_min": "number"}),
    "facilities": Role(
        "point", ("kind",), ("name", "capacity"), key="facility_id", types={"capacity": "number"}
    ),
    "parks": Role("polygon", (), ("name", "kind"), key="park_id"),
    "population": Role(
        "point",
        ("population",),
        ("age_0_14", "age_15_59", "age_60"),
        key="cell_id",
        types=dict.fromkeys(("population", "age_0_14", "age_15_59", "age_60"), "number"),
    ),
    "buildings": Role(
        "polygon",
        (),
        ("height_m", "floors", "use", "completed"),
        key="building_id",
        types={"height_m": "number", "floors": "number", "completed": "date"},
    ),
    "od_flows": Role(
        None,
        ("origin", "destination", "people"),
        ("minutes",),
        types={"people": "number", "minutes": "number"},
    ),
    "statistics": Role(
        None,
        ("item", "year", "value"),
        ("zone", "unit", "edition"),
        types={"year": "number", "value": "number"},
    ),
    "quotas": Role(
        None,
        ("indicator", "zone", "year", "value"),
        ("kind", "counterpart", "unit", "op", "rigid", "tolerance", "source"),
        types={"year": "number", "value": "number", "rigid": "bool", "tolerance": "number"},
    ),
}
"""Roles with a fixed standard form; other roles keep the fields of their file."""
EMPTY: dict[str, object] = {"text": "", "number": float("nan"), "date": "NaT", "bool": True}
"""What an optional field holds when the file has none."""
