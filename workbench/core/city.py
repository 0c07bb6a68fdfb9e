"""City profiles: what a city has, where its data lie, and by which definitions it is judged."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import pyproj
from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from workbench.core.errors import LayerMissing, ParameterError, ProfileError
from workbench.core.layer_spec import LayerSpec, Strict
from workbench.core.paths import PACKAGE, built_data_dir, data_root

DEMO_SOURCE = "demo-source"
"""Folder below the built data in which the demo city's source files are generated."""


class Level(Strict):
    """A zone level: which layer holds its zones."""

    role: str
    """Layer role of the zones."""
    parent: str | None = None
    """Level above; None: the city."""
    parent_field: str | None = None
    """Field with the parent's code; the parent level's name when not given."""
    code: str = "code"
    """Field with the zone's code."""
    name: str = "name"
    """Field with the zone's name."""
    tiles: bool = True
    """Whether the zones should cover the ground once; catchments that overlap or leave ground open are not checked for it."""
    title_zh: str = ""
    """Name of the level in Chinese, e.g. 区."""
    title_en: str = ""
    """Name of the level in English."""


class Target(Strict):
    """A planned value of an indicator."""

    indicator: str
    """Indicator id."""
    year: int
    """Year by which it holds."""
    value: float
    """Planned value in ``unit``."""
    op: Literal[">=", "<=", "=="]
    """How the observed value must stand to it."""
    unit: str
    """Unit of ``value``."""
    source: str = ""
    """Document that sets it."""
    confidence: str = ""
    """How sure the transcription is."""
    base_year: int | None = None
    """Year from which the path to the target starts; the city's base year when not given."""
    base_value: float | None = None
    """Value in the base year, when the document states it."""
    note_zh: str = ""
    """What a reader must know, in Chinese."""
    note_en: str = ""
    """The same in English."""


class MissingHint(Strict):
    """Data the city does not have: who holds them."""

    holder: str
    """Who usually holds such data."""
    note_zh: str = ""
    """Why they are absent, in Chinese."""
    note_en: str = ""
    """Why they are absent, in English."""


class Grid(Strict):
    """The city's raster grid."""

    resolution: float = Field(gt=0)
    """Cell size in metres."""
    left: float
    """Easting of the upper left corner."""
    top: float
    """Northing of the upper left corner."""
    rows: int = Field(gt=0)
    """Cells down."""
    columns: int = Field(gt=0)
    """Cells across."""


class AreaLimit(Strict):
    """A limit that an area read from images is held against."""

    of: str
    """Class of the land-cover map, or ``changed``: land that was built on since the year before."""
    op: Literal[">=", "<="]
    """What must hold."""
    hectares: float = Field(gt=0)
    """The limit."""
    year: int | None = None
    """Year it holds for; every year when not given."""
    title_zh: str
    """What it is, in Chinese."""
    title_en: str
    """What it is, in English."""
    source: str = ""
    """Document that sets it."""


class Interpretation(Strict):
    """What is read from the city's images (section ``[interpretation]``)."""

    land_cover: str = ""
    """Weights that map land cover; none: it is not mapped."""
    change: str = ""
    """Weights that find change; none: change is found without labels, by ``method``."""
    method: Literal["net", "irmad", "cva"] = "net"
    """How change is found."""
    mmu_m2: float = Field(default=400.0, gt=0)
    """Smallest patch of change that is mapped, m²."""
    sample_points: int = Field(default=600, ge=50)
    """Points drawn to estimate areas, where there is something to compare the map with."""
    reference: str = ""
    """Role that says what lies at a sample point: ``land_use``, or points that people have interpreted."""
    seed: int = 20260
    """Seed of the drawing."""
    limits: tuple[AreaLimit, ...] = ()
    """Limits that estimated areas are held against; the answer may be that more points are needed."""


class _Header(Strict):
    """Section ``[city]`` of a profile."""

    name: str
    name_zh: str
    name_en: str
    crs: str
    language: Literal["zh", "en"] = "zh"
    base_year: int
    years: tuple[int, ...] = Field(min_length=1)
    indicator_set: str = "checkup_first"
    indicator_changes: str | None = None
    life_circle_settings: str | None = None
    review_settings: str | None = None
    structure_settings: str | None = None
    suitability_settings: str | None = None
    rule_packs: tuple[str, ...] = ()
    report_book: str = "annual_checkup"
    review_number: str = ""
    data: str
    walking_m_per_min: float = Field(default=60.0, gt=0, le=200)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9_]+", value):
            raise ValueError("expected lower-case letters, digits and _ only")
        return value

    @field_validator("crs")
    @classmethod
    def _projected_in_metres(cls, value: str) -> str:
        try:
            crs = pyproj.CRS.from_user_input(value)
        except pyproj.exceptions.CRSError as error:
            raise ValueError("expected a CRS with an authority code, e.g. EPSG:4547") from error
        if crs.to_authority() is None:
            raise ValueError("expected a CRS with an authority code, e.g. EPSG:4547")
        if not crs.is_projected or crs.axis_info[0].unit_name != "metre":
            raise ValueError("expected a projected CRS in metres, e.g. EPSG:4547")
        return ":".join(crs.to_authority())

    @field_validator("years")
    @classmethod
    def _ascending(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("expected years in ascending order, each once")
        return value


class City(Strict):
    """A city as its profile states it."""

    city: _Header
    """Section ``[city]``."""
    scopes: dict[str, str] = Field(default_factory=dict)
    """Scope name -> value of the field ``scope`` in the role ``scopes``, or a role for the whole of that layer."""
    levels: dict[str, Level] = Field(default_factory=dict)
    """Zone levels from large to small; ``city`` is implied."""
    layers: dict[str, LayerSpec] = Field(default_factory=dict)
    """Layer role -> where it is."""
    targets: tuple[Target, ...] = ()
    """Planned values."""
    missing: dict[str, MissingHint] = Field(default_factory=dict)
    """Roles the city has no data for, and who holds them."""
    words: dict[Literal["zh", "en"], dict[str, str]] = Field(default_factory=dict)
    """Language -> {text of this profile (source, licence, holder, zone name) = the same in that language}."""
    grid: Grid | None = None
    """Raster grid; when not given, that of the profile's first raster layer."""
    interpretation: Interpretation | None = None
    """What is read from images; None: nothing is."""
    root: Path
    """Folder of the data."""
    path: Path
    """The profile."""

    @model_validator(mode="after")
    def _parts_agree(self) -> City:
        for name, level in self.levels.items():
            if name == "city":
                raise ValueError("levels.city: the level 'city' is implied and may not be defined")
            if level.role not in self.layers:
                raise ValueError(f"levels.{name}.role: no layer role {level.role!r} in the profile")
            if level.parent not in {None, "city", *self.levels}:
                raise ValueError(f"levels.{name}.parent: no level {level.parent!r} in the profile")
        for role, spec in self.layers.items():
            if not re.fullmatch(r"[a-z0-9_]+", role):
                raise ValueError(f"layers.{role}: expected lower-case letters, digits and _ only")
            if spec.check_against is not None and spec.check_against not in self.layers:
                raise ValueError(f"layers.{role}.check_against: no layer role {spec.check_against!r}")
        if both := set(self.missing) & set(self.layers):
            raise ValueError(f"missing.{min(both)}: the role is also among the layers")
        return self

    @property
    def name(self) -> str:
        """Short name, also that of its folders."""
        return self.city.name

    @property
    def name_zh(self) -> str:
        """Name in Chinese."""
        return self.city.name_zh

    @property
    def name_en(self) -> str:
        """Name in English."""
        return self.city.name_en

    @property
    def crs(self) -> str:
        """Working CRS with authority, projected, metres."""
        return self.city.crs

    def say(self, text: str, lang: str) -> str:
        """Text of the profile in a language, where the profile gives it; else as written."""
        found = self.words.get("en" if lang == "en" else "zh", {})
        return found.get(text, text)

    @property
    def language(self) -> str:
        """Language of the report, ``zh`` or ``en``."""
        return self.city.language

    @property
    def base_year(self) -> int:
        """Year from which paths to targets start."""
        return self.city.base_year

    @property
    def years(self) -> tuple[int, ...]:
        """Years a checkup can be made for, ascending."""
        return self.city.years

    @property
    def latest_year(self) -> int:
        """Default year of a checkup."""
        return self.city.years[-1]

    @property
    def indicator_set(self) -> str:
        """Name of the indicator set."""
        return self.city.indicator_set

    @property
    def rule_packs(self) -> tuple[str, ...]:
        """Names of the rule packs."""
        return self.city.rule_packs

    @property
    def report_book(self) -> str:
        """Name of the report book."""
        return self.city.report_book

    @property
    def walking_m_per_min(self) -> float:
        """The one walking speed."""
        return self.city.walking_m_per_min

    @property
    def profile_text(self) -> str:
        """Text of the profile."""
        return self.path.read_text(encoding="utf-8")

    def title(self, lang: str | None = None) -> str:
        """Name in ``zh`` or ``en``; the profile's language when not given."""
        return self.name_en if (lang or self.language) == "en" else self.name_zh

    def check_year(self, year: int) -> int:
        """Give back the year when a checkup can be made for it.

        Raises
        ------
        ParameterError
            When the profile does not list it.
        """
        if year not in self.years:
            raise ParameterError(
                f"no checkup for this year: asked for {year}", where=self.name, expected=str(self.years)
            )
        return year

    def layer(self, role: str) -> LayerSpec:
        """Specification of a layer role.

        Raises
        ------
        LayerMissing
            When the profile has no such role; names the holder when the profile does.
        """
        if role not in self.layers:
            hint = self.missing.get(role)
            raise LayerMissing(role, reason="no_layer", holder=hint.holder if hint else None)
        return self.layers[role]


def city_names() -> list[str]:
    """Names of the profiles that come with the package."""
    return sorted(path.stem for path in (PACKAGE / "cities").glob("*.toml"))


def _profile_path(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if re.fullmatch(r"[A-Za-z0-9_]+", text) and not Path(text).is_file():
        path = PACKAGE / "cities" / f"{text}.toml"
        if not path.exists():
            known = f"one of {', '.join(city_names())}, or a path"
            raise ProfileError("no such city", where="cities", found=text, expected=known)
        return path
    path = Path(text).expanduser().resolve()
    if path.is_file():
        return path
    raise ProfileError("no such profile", where=text, expected="a TOML file")


def _resolve_root(data: str, path: Path, root: Path | None) -> Path:
    """Folder of a city's data; the demo's is generated later and need not exist yet."""
    if data == "demo":
        return built_data_dir() / DEMO_SOURCE
    root = root or data_root()
    beside = path.parent / data  # a profile may lie beside its data
    folder = beside if root is None else root / data
    if not folder.is_dir() and beside.is_dir():
        folder = beside
    if not folder.is_dir():
        raise ProfileError(
            "the data root is not known" if root is None else "the data folder does not exist",
            where=f"{path.name}: city.data",
            found=data if root is None else str(folder),
            expected="a folder below the data root",
            hint="set WORKBENCH_DATA or give --data-root",
        )
    return folder.resolve()


def _first_problem(error: ValidationError, path: Path) -> ProfileError:
    """All problems of a profile in one error; the first one names key, found and expected."""
    problems = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        problems.append(
            (key or "profile", item["msg"].removeprefix("Value error, "), item["type"], item["input"])
        )
    key, message, kind, found = problems[0]
    if kind == "extra_forbidden":
        model: Any = {"layers": LayerSpec, "levels": Level, "targets": Target, "city": _Header}.get(
            key.split(".")[0] if "." in key else "", City
        )
        known = sorted(set(model.model_fields) - {"root", "path"} if model is City else model.model_fields)
        message, expected = "unknown key", f"one of {', '.join(known)}"
    elif kind == "missing":
        message, found, expected = "key missing", None, "a value"
    else:
        expected = message.removeprefix("expected ")
        message = "value cannot be used"
    shown = found if isinstance(found, str | int | float | bool | list | None) else None
    rest = (
        f"{len(problems) - 1} more: {', '.join(p[0] for p in problems[1:6])}" if len(problems) > 1 else None
    )
    return ProfileError(message, where=f"{path.name}: {key}", found=shown, expected=expected, hint=rest)


def load_city(name_or_path: str | Path, data_root: Path | str | None = None) -> City:
    """Read and check a city profile.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a profile in the package (``"demo"``) or path of a TOML file.
    data_root : Path, optional
        Folder below which ``city.data`` lies; ``$WORKBENCH_DATA`` when not given.

    Raises
    ------
    ProfileError
        Naming file, key, what was found and what was expected.
    """
    path = _profile_path(name_or_path)
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"not valid TOML: {error}", where=path.name) from error
    header = content.get("city")
    if not isinstance(header, dict):
        raise ProfileError("key missing", where=f"{path.name}: city", expected="a section [city]")
    data = header.get("data")
    if not isinstance(data, str):
        raise ProfileError("key missing", where=f"{path.name}: city.data", expected='"demo" or a folder')
    if reserved := {"root", "path"} & set(content):
        raise ProfileError("unknown key", where=f"{path.name}: {min(reserved)}")
    try:
        city = City(**content, path=path, root=Path("."))
    except ValidationError as error:
        raise _first_problem(error, path) from error
    root = _resolve_root(data, path, Path(data_root).resolve() if data_root is not None else None)
    return city.model_copy(update={"root": root})
