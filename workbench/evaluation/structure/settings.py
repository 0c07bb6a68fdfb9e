"""What a planner sets for the spatial structure: ranges, distances, windows, rules of low-efficiency land, each with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.core import codes
from workbench.core.city import City
from workbench.core.errors import ParameterError
from workbench.evaluation import topic_settings

PACKAGED = Path(__file__).with_name("structure.toml")
METRICS = ("far", "density", "people_ha")
"""What a rule of low-efficiency land may ask."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(_Strict):
    """A time of day."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    """Short name."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    begin: float = Field(ge=0, lt=24)
    """From this hour on."""
    end: float = Field(gt=0, le=24)
    """Before this hour."""

    @model_validator(mode="after")
    def _forward(self) -> Window:
        if self.begin >= self.end:
            raise ValueError("the window ends before it begins")
        return self

    def title(self, lang: str) -> str:
        """Name in ``zh`` or ``en``."""
        return self.title_en if lang == "en" else self.title_zh


class Condition(_Strict):
    """One condition of a rule."""

    metric: Literal["far", "density", "people_ha"]
    """What is measured."""
    below: float = Field(gt=0)
    """It holds where the measure is below this."""


class LowUse(_Strict):
    """A rule of low-efficiency built land: all conditions must hold."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    """Short name."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    classes: tuple[str, ...] = Field(min_length=1)
    """Survey classes it is asked of."""
    codes: tuple[str, ...] = ()
    """Attribute codes it is asked of; empty: all."""
    settled: bool = True
    """Only land that was construction land in the survey of the base year already."""
    when: tuple[Condition, ...] = Field(min_length=1)
    """Conditions."""
    source: str
    """Document it is from."""
    confidence: str
    """How sure the numbers are."""

    def title(self, lang: str) -> str:
        """Name in ``zh`` or ``en``."""
        return self.title_en if lang == "en" else self.title_zh


class Parameters(_Strict):
    """Codes, distances, limits; what each means stands in ``structure.toml``."""

    scope: str
    urban_codes: tuple[str, ...] = Field(min_length=1)
    urban_groups: tuple[str, ...]
    urban_not: tuple[str, ...]
    connected_m: float = Field(ge=0, le=5000)
    least_patch_m2: float = Field(ge=0)
    rounds: int = Field(ge=0, le=1000)
    least_share: float = Field(gt=0, le=1)
    landscape_groups: tuple[str, ...] = Field(min_length=1)
    neighbours: Literal[4, 8]
    most_shift: float = Field(gt=0, le=0.5)
    level: float = Field(gt=0, lt=1)
    permutations: int = Field(ge=99, le=100_000)
    cluster_level: float = Field(gt=0, lt=1)
    settled_per_km2: float = Field(gt=0)
    seed: int
    weekday: int = Field(ge=0, le=6)
    bus_m: float = Field(gt=0)
    rail_m: float = Field(gt=0)
    frequent_min: float = Field(gt=0)
    park_m: float = Field(gt=0)
    least_growth: float = Field(ge=0)
    least_rule_parcel_m2: float = Field(ge=0)


class Settings(_Strict):
    """Everything that is set for the spatial structure."""

    parameters: Parameters
    """Codes, distances, limits."""
    windows: tuple[Window, ...] = Field(min_length=1)
    """Times of day, in the order they are shown."""
    low_use: tuple[LowUse, ...] = ()
    """Rules of low-efficiency land, in the order they are shown."""
    origin: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Source and confidence of each parameter."""

    @model_validator(mode="after")
    def _names_agree(self) -> Settings:
        for what, ids in (
            ("windows", [w.id for w in self.windows]),
            ("low_use", [r.id for r in self.low_use]),
        ):
            if twice := sorted({one for one in ids if ids.count(one) > 1}):
                raise ValueError(f"{what}: {twice} are listed twice")
        for name in (*self.parameters.landscape_groups, *self.parameters.urban_groups):
            try:
                codes.group(name)
            except ParameterError as error:
                raise ValueError(str(error)) from error
        return self

    def rule(self, name: str) -> LowUse:
        """Rule of an id."""
        return next(one for one in self.low_use if one.id == name)


def settings_path(city: City) -> Path:
    """File of a city's settings: beside its profile when the profile names one, else the packaged one."""
    return topic_settings.settings_path(city, "structure", PACKAGED)


def load_settings(city: City) -> Settings:
    """Settings of a city.

    Raises
    ------
    DefinitionError
        When the file is absent or does not fit; names file, key and what is wrong.
    """
    return topic_settings.load_settings(city, "structure", PACKAGED, read_settings)


def read_settings(path: Path) -> Settings:
    """Settings in a file."""
    return topic_settings.read_settings(path, Settings)
