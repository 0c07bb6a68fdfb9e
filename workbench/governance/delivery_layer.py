"""Layers of a delivery brought into a city's data, and the sections of the profile that name them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyproj
import shapely

from workbench.catalog import manifest
from workbench.catalog.data import CityData
from workbench.catalog.formats import osm, sheets
from workbench.catalog.formats.datum import DatumParameters
from workbench.catalog.ingest import ingest_vector, standard_table
from workbench.catalog.ingest_layer import Bounds, Place, Progress, Written, open_layer, write_layer
from workbench.catalog.quality import Finding
from workbench.catalog.reading import read_table_file
from workbench.catalog.roles import ROLES
from workbench.catalog.standard_layers import known_fields
from workbench.core.city import City
from workbench.core.errors import ParameterError, ProfileError, WorkbenchError
from workbench.core.layer_spec import LayerSpec
from workbench.core.paths import atomic_write
from workbench.governance.attributes import known_zones
from workbench.governance.delivery import Found
from workbench.governance.layers import Layer
from workbench.governance.packs import load_packs

Value = str | int | float | bool
ZONE_CHECK = "cs_known_zones"
"""Check that tells names of zones which are none of the city's."""


@dataclass(frozen=True)
class Order:
    """How one layer is to be read and where it goes."""

    path: Path
    """File."""
    role: str
    """Role it is brought to."""
    year: int | None = None
    """Year it describes; None when it is not dated by year."""
    layer: str | None = None
    """Layer, sheet or layer of a drawing."""
    crs: str | None = None
    """CRS the file should have stated."""
    encoding: str | None = None
    """Encoding the file should have stated."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Standard field = the file's field; national names are known without."""
    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """Standard field -> {the file's value = standard value}."""
    constants: Mapping[str, Value] = field(default_factory=dict)
    """Standard field = one value."""
    datum: str | None = None
    """``gcj02`` when the degrees are GCJ-02."""
    source: str = ""
    """Who made the data."""
    date: str = ""
    """Date the data describe."""
    to: Path | None = None
    """File to write instead of one in the city's folder."""
    clip: bool = False
    """Keep only what meets the city's outline."""
    overwrite: bool = False
    """Replace a file that exists."""


@dataclass
class Delivered:
    """What became of one layer."""

    order: Order
    """What was asked."""
    target: Path | None
    """The file written; None in a dry run."""
    spec: LayerSpec
    """How the file was read."""
    written: Written
    """Rows, kinds, findings."""
    known: dict[str, str]
    """Standard fields taken from fields with national names."""
    unused: list[str]
    """Fields of the file that were left out."""
    section: str
    """The profile's section for it, TOML."""

    @property
    def failed(self) -> bool:
        """Whether the layer must not be used as it is."""
        return any(finding.check == "empty_layer" for finding in self.written.findings)


def deliver(
    city: City, order: Order, *, parameters: DatumParameters | None = None, dry_run: bool = False,
    progress: Progress | None = None, place: Place | None = None,
) -> Delivered:  # fmt: skip
    """Bring one layer into the standard form of its role and write it into the city's data, whole or not at all.

    Raises
    ------
    ParameterError
        When the role is unknown, the file exists already, or the folder cannot be written.
    ProfileError, CRSError
        When the layer cannot be read or must not be.
    """
    if order.role not in ROLES:
        raise ParameterError(
            "no such role", where="--role", found=order.role, expected=", ".join(sorted(ROLES))
        )
    table = ROLES[order.role].family is None
    where = order.path.name if order.layer is None else f"{order.path.name}: {order.layer}"
    spec, known, present = _spec(order, table, where)
    target = None if dry_run else _target(city, order)
    if place is None and not table:
        place = place_of(city, clip=order.clip)
    with tempfile.TemporaryDirectory(prefix="ingest-") as scratch:
        if target is None:
            written = _write(
                city, place, order, spec, Path(scratch) / "layer.parquet", where, parameters, progress
            )
        else:
            try:
                with atomic_write(target) as partial:
                    written = _write(city, place, order, spec, partial, where, parameters, progress)
                    if written.rows == 0:
                        raise _NothingWrittenError(written)
            except _NothingWrittenError as nothing:
                written, target = nothing.written, None
            except PermissionError as error:
                raise ParameterError("the folder cannot be written", where="--to", found=str(target.parent),
                                     hint="give --to FILE") from error  # fmt: skip
    taken = {
        *spec.fields.values(),
        *ROLES[order.role].required,
        *ROLES[order.role].optional,
        ROLES[order.role].key,
    }
    if any(one.check == "years_to_rows" for one in written.findings):
        taken |= {name for name in present if sheets.year_of(name)}
    unused = [name for name in present if name not in taken] if spec.fields or spec.preset else []
    section = profile_section(
        city, order, _target_name(order) if target is None else _beside(city, target), written
    )
    return Delivered(order, target, spec, written, known, unused, section)


class _NothingWrittenError(Exception):
    """Leaves an atomic write without a file."""

    def __init__(self, written: Written) -> None:
        self.written = written


def _spec(order: Order, table: bool, where: str) -> tuple[LayerSpec, dict[str, str], list[str]]:
    """How the file is read, which fields were known by their national names, and the fields it has."""
    preset = osm.PRESET_OF_ROLE.get(order.role) if osm.is_osm(order.path) else None
    constants = dict(order.constants)
    base = LayerSpec.model_validate(
        {
            "path": order.path.name, "kind": "table" if table else "vector", "layer": order.layer, "crs": order.crs,
            "encoding": order.encoding, "datum": order.datum, "preset": preset,
            "values": {name: dict(pairs) for name, pairs in order.values.items()},
        }
    )  # fmt: skip
    present = _fields(order.path, base, order.role, where)
    known: dict[str, str] = {}
    if preset is None:
        known = {
            standard: name for standard, name in known_fields(order.role, present).items()
            if standard not in present and standard not in order.fields and standard not in constants
        }  # fmt: skip
    if (
        order.role == "statistics"
        and order.year is not None
        and "year" not in {*known, *order.fields, *present}
    ):
        constants["year"] = order.year
    fields = {**known, **order.fields}
    return base.model_copy(update={"fields": fields, "constants": constants}), known, present


def _fields(path: Path, spec: LayerSpec, role: str, where: str) -> list[str]:
    """Fields of the file."""
    if osm.is_osm(path):
        return []
    if spec.kind == "table":
        frame, _ = read_table_file(path, spec, where)
        return [str(name) for name in frame.columns]
    return open_layer(path, spec, role, where)[0].fields


def _write(
    city: City, place: Place | None, order: Order, spec: LayerSpec, partial: Path, where: str, parameters: DatumParameters | None,
    progress: Progress | None,
) -> Written:  # fmt: skip
    if place is None or spec.kind == "table":
        made = standard_table(order.path, spec, order.role, where)
        if not made.frame.empty:
            made.frame.to_parquet(partial, index=False, compression="zstd")
        findings = [*made.findings, *_unknown_zones(city, order.role, made.frame)]
        return Written(len(made.frame), len(made.frame), findings=findings)
    return write_layer(
        order.path, spec, order.role, place, partial, where, parameters=parameters, progress=progress
    )


def _unknown_zones(city: City, role: str, table: pd.DataFrame) -> list[Finding]:
    """Zones a table names that the city does not have, one finding a name; nothing where its zones are not there yet."""
    check = next(one for one in load_packs()["consistency"].checks if one.id == ZONE_CHECK)
    if role not in check.roles or not manifest.read(city.name):
        return []
    hits = known_zones(Layer(CityData(city), role, None, table), check).hits
    return [
        Finding(
            "unknown_zone", "warning", int(one.measured), float("nan"), "", one.message_zh, one.message_en
        )
        for one in hits
    ]


def _target_name(order: Order) -> str:
    return f"{order.role}.parquet" if order.year is None else f"{order.role}_{order.year}.parquet"


def _target(city: City, order: Order) -> Path:
    target = order.to or city.root / _target_name(order)
    if order.to is None and city.city.data == "demo":
        raise ParameterError(
            "the demo city's data are generated", where="--city", found=city.name, hint="give --to FILE"
        )
    if target.exists() and not order.overwrite:
        raise ParameterError("the file exists", where=str(target), hint="give --overwrite or --to FILE")
    return target


def _beside(city: City, target: Path) -> str:
    """Path as the profile writes it: below the city's folder where it lies there."""
    folder = city.root.resolve()
    resolved = target.resolve()
    return resolved.relative_to(folder).as_posix() if resolved.is_relative_to(folder) else target.name


def place_of(city: City, *, clip: bool = False) -> Place:
    """Where layers of a city are to lie; with ``clip`` only what meets its outline is kept."""
    return Place(city.crs, city_extent(city), city_outline(city) if clip else None)


def _zone_roles(city: City) -> list[str]:
    """Layers that show how far the city reaches, the best first."""
    named = [level.role for level in city.levels.values()]
    return [
        role for role in dict.fromkeys(["boundary", "districts", *named, "scopes"]) if role in city.layers
    ]


def city_extent(city: City) -> Bounds | None:
    """Extent of a city in its CRS from its own zones; from where its CRS may be used when it has none yet."""
    entries = {entry.role: entry.bbox for entry in manifest.read(city.name) if entry.bbox is not None}
    degrees = next((entries[role] for role in _zone_roles(city) if role in entries), None)
    if degrees is None:
        try:
            outline = city_outline(city)
        except WorkbenchError:
            outline = None
        if outline is not None:
            return tuple(shapely.bounds(outline).tolist())  # type: ignore[return-value]
        area = pyproj.CRS.from_user_input(city.crs).area_of_use
        if area is None:
            return None
        degrees = (area.west - 1, area.south, area.east + 1, area.north)
    moved = pyproj.Transformer.from_crs("EPSG:4326", city.crs, always_xy=True).transform_bounds(*degrees)
    return tuple(float(v) for v in moved)  # type: ignore[return-value]


def city_outline(city: City) -> shapely.Geometry:
    """Outline of a city in its CRS, from the first layer of zones that can be read.

    Raises
    ------
    ProfileError
        When the city has no such layer yet.
    """
    for role in _zone_roles(city):
        spec = city.layers[role]
        year = max(spec.years) if spec.years else None
        path = spec.file(city.root, year)
        if spec.kind == "vector" and path.exists():
            return shapely.union_all(ingest_vector(city, role, path, year).frame.geometry.to_numpy())
    raise ProfileError(
        "the city has no layer of its outline yet", where=city.name, expected="boundary or districts"
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f]", " ", escaped) + '"'


def profile_section(city: City, order: Order, path: str, written: Written) -> str:
    """Section ``[layers.ROLE]`` of the profile for a layer that was written; earlier years of the role stay in it."""
    table = ROLES[order.role].family is None
    years: list[int] = []
    if order.year is not None and not table:
        path = path.replace(str(order.year), "{year}")
        before = city.layers.get(order.role)
        same = before is not None and before.path == path
        years = sorted({order.year, *(before.years if before is not None and same else ())})
        if "{year}" not in path:
            path, years = path, [order.year]
    lines = [
        f"[layers.{order.role}]",
        f"path = {_quoted(path)}",
        f'kind = "{"table" if table else "vector"}"',
    ]
    if years:
        lines.append(f"years = {years}")
    date = order.date
    if "{year}" in path and order.year is not None:
        date = date.replace(str(order.year), "{year}")
    lines += [f"date = {_quoted(date)}"] if date else ["# date = the day the data describe"]
    lines += [f"source = {_quoted(order.source)}"] if order.source else ["# source = who made the data"]
    lines.append("# licence, holder, update_cycle, sensitivity: as the holder states them")
    told = f"{written.rows} of {written.read} rows"
    lines.append(
        f"# from {order.path.name}{'' if order.layer is None else f' ({order.layer})'}, {told}; the file is in standard form"
    )
    return "\n".join(lines) + "\n"


@dataclass
class Outcome:
    """What became of one layer of a delivery folder."""

    found: Found
    """The layer."""
    role: str = ""
    """Role it was brought to."""
    delivered: Delivered | None = None
    """What it became."""
    problem: str = ""
    """Why it was not taken."""


def deliver_all(
    city: City,
    found: Sequence[Found],
    template: Order,
    *,
    parameters: DatumParameters | None = None,
    dry_run: bool = False,
) -> list[Outcome]:
    """Take the layers that are named exactly like a standard layer with a role here; say of the others why not.

    Two layers of one role are both left: which is meant is for a person to say. One that fails does not stop the others.
    """
    certain = [
        one for one in found if one.guess.certainty == "certain" and one.guess.role and not one.problems
    ]
    roles = [one.guess.role for one in certain]
    outcomes = []
    place = place_of(city, clip=template.clip) if certain else None
    for one in found:
        outcome = Outcome(one, one.guess.role if one in certain else "")
        outcomes.append(outcome)
        if one.ignored:
            continue
        if one.problems:
            outcome.problem = "as above"
        elif one not in certain:
            outcome.problem = "its role is not certain: give --role and --layer"
        elif roles.count(outcome.role) > 1:
            outcome.problem = f"{roles.count(outcome.role)} layers would be {outcome.role}: give --layer"
        else:
            order = _order_of(template, one)
            try:
                outcome.delivered = deliver(city, order, parameters=parameters, dry_run=dry_run, place=place)
            except WorkbenchError as error:
                outcome.problem = str(error)
    return outcomes


def _order_of(template: Order, one: Found) -> Order:
    return Order(
        one.path, one.guess.role, template.year, one.layer, one.given_crs, one.given_encoding, template.fields,
        template.values, template.constants, template.datum, template.source, template.date, None, template.clip,
        template.overwrite,
    )  # fmt: skip


def write_fragment(path: Path, city: City, sections: Sequence[str]) -> Path:
    """Write the sections of what was delivered as a fragment to be put into the city's profile."""
    head = f"# Sections for the profile of {city.name}: put them in place of those of the same name.\n"
    with atomic_write(path) as partial:
        partial.write_text("\n".join([head, *sections]), encoding="utf-8")
    return path


def worst(findings: Sequence[Finding]) -> str:
    """Gravest severity among findings; empty when there are none."""
    order = ("error", "warning", "info")
    return next((level for level in order if any(one.severity == level for one in findings)), "")
