"""What a planner sets for life circles: facilities with their levels, circles, speeds and limits, each with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.core.city import City
from workbench.evaluation import topic_settings

PACKAGED = Path(__file__).with_name("life_circle.toml")
AGES = ("age_0_14", "age_15_59", "age_60")
"""Age groups of the layer ``population``."""
EVERYONE = "all"
"""Name of all ages together."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Facility(_Strict):
    """A kind of facility and its level."""

    kind: str
    """Value of the field ``kind`` of the layer, where it has one; the name of the kind everywhere."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    role: str
    """Layer it is found in."""
    minutes: float = Field(gt=0)
    """Its own level, minutes on foot."""
    metres: float = Field(gt=0)
    """Service radius as the crow flies."""
    ages: Literal["all", "age_0_14", "age_15_59", "age_60"] = "all"
    """Whom it serves."""
    amount_zh: str = ""
    """What its capacity counts, in Chinese; empty: no supply per head is computed."""
    amount_en: str = ""
    """The same in English."""
    min_area_m2: float = Field(default=0.0, ge=0)
    """Polygons smaller than this do not count."""
    site: bool = True
    """Whether places for a further one are sought."""
    source: str
    """Document or tool the numbers are from."""
    confidence: str
    """How sure they are."""

    def title(self, lang: str) -> str:
        """Name in ``zh`` or ``en``."""
        return self.title_en if lang == "en" else self.title_zh

    def amount(self, lang: str) -> str:
        """What its capacity counts, in ``zh`` or ``en``."""
        return self.amount_en if lang == "en" else self.amount_zh


class Circle(_Strict):
    """A set of kinds that make a circle complete."""

    id: str
    """Short name."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    minutes: float = Field(ge=0)
    """Minutes within which all kinds must be; 0: each within its own."""
    kinds: tuple[str, ...] = Field(min_length=1)
    """Kinds that must be there."""
    source: str
    """Document or tool the choice is from."""
    confidence: str
    """How sure it is."""

    def title(self, lang: str) -> str:
        """Name in ``zh`` or ``en``."""
        return self.title_en if lang == "en" else self.title_zh


class Parameters(_Strict):
    """Speeds and limits."""

    scope: str
    """Range the people are counted in; the whole city where it is not delimited."""
    minutes: tuple[float, ...] = Field(min_length=1)
    """Levels coverage is given for."""
    cycling_m_per_min: float = Field(gt=0, le=600)
    """Cycling speed."""
    cycling_classes: tuple[str, ...]
    """Road classes that are cycled."""
    gate_m: float = Field(ge=0)
    """A polygon is entered at network nodes this close to it."""
    far_m: float = Field(gt=0)
    """A facility farther than this from the network is reported."""
    min_part_m: float = Field(ge=0)
    """Parts of the network shorter than this in all are left out."""
    supply: Literal["2sfca", "e2sfca", "m2sfca", "3sfca"]
    """Member of the family of floating catchments."""
    sites: int = Field(ge=1, le=20)
    """New places sought for each kind."""
    candidates: int = Field(ge=1, le=100_000)
    """Most places tried."""
    seed: int
    """Seed of the sample of places tried."""
    age_tolerance: float = Field(ge=0, lt=1)
    """Share by which the age groups may miss the total."""


class Settings(_Strict):
    """Everything that is set for life circles."""

    parameters: Parameters
    """Speeds and limits."""
    facilities: tuple[Facility, ...] = Field(min_length=1)
    """Kinds in the order they are shown."""
    circles: tuple[Circle, ...]
    """Circles in the order they are shown."""
    origin: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Source and confidence of each parameter."""

    @model_validator(mode="after")
    def _kinds_agree(self) -> Settings:
        kinds = [one.kind for one in self.facilities]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise ValueError(f"facilities: {twice} are listed twice")
        for circle in self.circles:
            if unknown := sorted(set(circle.kinds) - set(kinds)):
                raise ValueError(f"circles.{circle.id}.kinds: {unknown} are no kinds of facilities")
        return self

    def facility(self, kind: str) -> Facility:
        """Definition of a kind."""
        return next(one for one in self.facilities if one.kind == kind)

    def minutes_of(self, circle: Circle) -> dict[str, float]:
        """Minutes within which each kind of a circle must be."""
        return {kind: circle.minutes or self.facility(kind).minutes for kind in circle.kinds}


def settings_path(city: City) -> Path:
    """File of a city's settings: beside its profile when the profile names one, else the packaged one."""
    return topic_settings.settings_path(city, "life_circle", PACKAGED)


def load_settings(city: City) -> Settings:
    """Settings of a city.

    Raises
    ------
    DefinitionError
        When the file is absent or does not fit; names file, key and what is wrong.
    """
    return topic_settings.load_settings(city, "life_circle", PACKAGED, read_settings)


def read_settings(path: Path) -> Settings:
    """Settings in a file."""
    return topic_settings.read_settings(path, Settings)
