"""What a planner sets for suitability: factors, their points, classes, limits and assumptions, each with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.core.city import City
from workbench.core.codes import groups
from workbench.evaluation import topic_settings

PACKAGED = Path(__file__).with_name("suitability.toml")
CONTINUOUS = ("slope", "relief", "elevation", "raster", "distance", "scope_distance")
"""Kinds of factors with measured values; the others hold codes."""
NO_THRESHOLD = float("inf")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def title(self, lang: str) -> str:
        """Name in ``zh`` or ``en``."""
        return str(getattr(self, f"title_{lang}"))


class Factor(_Strict):
    """Something known of each cell."""

    id: str
    """Short name."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    kind: Literal[
        "slope", "relief", "elevation", "raster", "distance", "scope_distance", "inside", "class", "field"
    ]
    """How it is read from its layer."""
    role: str
    """Layer it is read from."""
    unit: str = ""
    """Unit of its values, as written."""
    field: str = ""
    """Field of the layer that is read or chosen by."""
    levels: tuple[str, ...] | str = ()
    """Values of the field: kinds of a ``field``, features of a ``distance``; or the name of a parameter with them."""
    scope: str = ""
    """Range a ``scope_distance`` is measured from."""
    holder: str = ""
    """Who usually holds it, where the profile does not say."""

    @property
    def continuous(self) -> bool:
        """Whether it has measured values."""
        return self.kind in CONTINUOUS


class Step(_Strict):
    """Points up to a value of a factor."""

    to: float = NO_THRESHOLD
    """Upper end, itself included."""
    score: float = Field(ge=0, le=100)
    """Points; with the effect ``lower`` points taken away."""
    source: str = ""
    """Where this step comes from, when not from the use's source."""
    confidence: str = ""
    """How sure it is."""


class Use(_Strict):
    """What a factor does in an evaluation."""

    evaluation: str
    """Evaluation it belongs to."""
    factor: str
    """Factor it reads."""
    effect: Literal["score", "limit", "lower"] = "score"
    """Points that are combined, a hard limit, or points taken away from the result."""
    weight: float = Field(default=1.0, gt=0)
    """Weight in a mean."""
    required: bool = False
    """Whether a cell without the factor is not evaluated."""
    steps: tuple[Step, ...] = ()
    """Points by measured value."""
    move: float | None = Field(default=None, ge=0)
    """How far the sensitivity test moves the thresholds; a share of them when not given."""
    inside: float | None = Field(default=None, ge=0, le=100)
    """Points inside the polygons."""
    outside: float = Field(default=0.0, ge=0, le=100)
    """Points outside."""
    values: dict[str, float] = Field(default_factory=dict)
    """Points by group of land classes (the first that fits) or by level of a field."""
    other: float = Field(default=0.0, ge=0, le=100)
    """Points of what is in no group or level."""
    proxy_for: str = ""
    """Factor it stands in for; counts only where that one is missing."""
    reason_zh: str = ""
    """Why and how it stands in, in Chinese."""
    reason_en: str = ""
    """The same in English."""
    source: str
    """Document the points are from."""
    confidence: str
    """How sure they are."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Ends of the steps that end."""
        return tuple(step.to for step in self.steps if step.to != NO_THRESHOLD)

    @model_validator(mode="after")
    def _parts_agree(self) -> Use:
        where = f"{self.evaluation}/{self.factor}"
        ends = [step.to for step in self.steps]
        if ends and (ends != sorted(set(ends)) or ends[-1] != NO_THRESHOLD):
            raise ValueError(f"uses {where}: steps must ascend and the last one must have no 'to'")
        given = [bool(self.steps), self.inside is not None, bool(self.values)]
        if self.effect != "limit" and sum(given) != 1:
            raise ValueError(f"uses {where}: exactly one of steps, inside and values is needed")
        if self.effect == "limit" and any(given):
            raise ValueError(f"uses {where}: a limit has no points")
        if self.proxy_for and not (self.reason_zh and self.reason_en):
            raise ValueError(f"uses {where}: what stands in for a factor needs reason_zh and reason_en")
        return self


class Grade(_Strict):
    """A class of an evaluation."""

    id: str
    """Short name."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    least: float = Field(ge=0, le=100)
    """Points from which on it holds."""
    colour: str = Field(pattern=r"^#[0-9a-f]{6}$")
    """Colour on maps."""


class Evaluation(_Strict):
    """A question land is judged by."""

    id: str
    """Short name."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    combine: Literal["mean", "min", "max"]
    """How points of several factors become one."""
    classes: tuple[Grade, ...] = Field(min_length=2, max_length=9)
    """Classes, highest points first."""
    move: float = Field(ge=0)
    """How far the sensitivity test moves the points between classes."""
    source: str
    """Document the classes are from."""
    confidence: str
    """How sure they are."""

    @property
    def cuts(self) -> tuple[float, ...]:
        """Points between classes, highest first."""
        return tuple(grade.least for grade in self.classes[:-1])

    def code(self, grade: str) -> int:
        """Raster number of a class, from 1."""
        return [one.id for one in self.classes].index(grade) + 1

    @model_validator(mode="after")
    def _classes_descend(self) -> Evaluation:
        least = [one.least for one in self.classes]
        if least != sorted(set(least), reverse=True) or least[-1] != 0:
            raise ValueError(f"evaluations.{self.id}: classes go from high to low and end at 0")
        return self


class Conflict(_Strict):
    """Present use that the result speaks against."""

    id: str
    """Short name."""
    title_zh: str
    """Name in Chinese."""
    title_en: str
    """Name in English."""
    uses: tuple[str, ...] = Field(min_length=1)
    """Groups of land classes."""
    factor: str = ""
    """Factor that must be above a value …"""
    above: float | None = None
    """… this one;"""
    evaluation: str = ""
    """or evaluation with …"""
    grade: str = Field(default="", alias="class")
    """… this class."""
    clause_zh: str
    """What follows, in Chinese."""
    clause_en: str
    """The same in English."""
    source: str
    """Document it is from."""
    confidence: str
    """How sure it is."""


class Integration(_Strict):
    """What goes first where land is fit for several."""

    order: tuple[str, ...] = Field(min_length=1)
    """Evaluations, the first one first."""
    excludes: bool
    """Whether land of the first class of the first evaluation is the last class in the others."""
    titles_zh: dict[str, str]
    """Name in Chinese of the land each evaluation goes first on, and of ``other``."""
    titles_en: dict[str, str]
    """The same in English."""
    colours: dict[str, str]
    """Colour of each evaluation and of ``other``."""
    source: str
    """Document it is from."""
    confidence: str
    """How sure it is."""


class Parameters(_Strict):
    """Cells, windows and limits of the work."""

    cell_m: float = Field(ge=0)
    """Cell size; 0: that of the city's grid or of the terrain model."""
    most_cells: int = Field(ge=100)
    """Cells above which larger ones are taken."""
    relief_window_m: float = Field(gt=0)
    """Edge of the window relief is taken in."""
    move_share: float = Field(ge=0, lt=1)
    """Share of itself by which a threshold without a move of its own is moved."""
    draws: int = Field(ge=0, le=250)
    """Draws of the joint test."""
    seed: int
    """Seed of the draws."""
    least_patch_m2: float = Field(ge=0)
    """Smallest patch of a conflict that is listed."""
    patches: int = Field(ge=0, le=10_000)
    """Patches listed for each conflict."""
    transport_classes: tuple[str, ...] = ()
    """Road classes that open land."""


class Assumption(_Strict):
    """A number people are reckoned from."""

    value: float | str
    """The number, or the name of an item of the statistics."""
    unit: str = ""
    """Its unit."""
    title_zh: str
    """What it is, in Chinese."""
    title_en: str
    """The same in English."""
    source: str
    """Document it is from."""
    confidence: str
    """How sure it is."""


CAPACITY = (
    "grain_kg_per_ha", "sown_to_grain", "net_cropland", "grain_kg_per_person", "self_supply", "building_m2_per_person",
    "building_share", "near_share", "over_share", "land_near", "land_over", "water_limit_item", "water_use_item",
)  # fmt: skip
"""Assumptions that carrying capacity needs."""


class Settings(_Strict):
    """Everything that is set for suitability."""

    parameters: Parameters
    """Cells, windows and limits."""
    factors: tuple[Factor, ...] = Field(min_length=1)
    """Factors in the order they are shown."""
    evaluations: tuple[Evaluation, ...] = Field(min_length=1)
    """Evaluations in the order they are shown."""
    uses: tuple[Use, ...] = Field(min_length=1)
    """What factors do."""
    integration: Integration
    """What goes first."""
    conflicts: tuple[Conflict, ...] = ()
    """Present use against the result."""
    capacity: dict[str, Assumption]
    """Assumptions of carrying capacity."""
    origin: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Source and confidence of each parameter."""

    def factor(self, name: str) -> Factor:
        """Factor of a name."""
        return next(one for one in self.factors if one.id == name)

    def evaluation(self, name: str) -> Evaluation:
        """Evaluation of a name."""
        return next(one for one in self.evaluations if one.id == name)

    def number(self, name: str) -> float:
        """Value of an assumption."""
        return float(self.capacity[name].value)

    def levels(self, factor: Factor) -> tuple[str, ...]:
        """Values of the field of a factor."""
        if isinstance(factor.levels, str):
            return tuple(getattr(self.parameters, factor.levels))
        return factor.levels

    def move(self, use: Use) -> tuple[float, ...]:
        """How far each threshold of a use is moved."""
        share = self.parameters.move_share
        return tuple(use.move if use.move is not None else abs(end) * share for end in use.thresholds)

    @model_validator(mode="after")
    def _names_agree(self) -> Settings:
        factors, evaluations = [f.id for f in self.factors], [e.id for e in self.evaluations]
        for what, names in (("factors", factors), ("evaluations", evaluations)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {twice} are listed twice")
        wrong: list[str] = []
        for use in self.uses:
            known = use.evaluation in evaluations and use.factor in factors
            if not known or use.proxy_for not in {"", *factors}:
                wrong.append(f"uses {use.evaluation}/{use.factor}: no such evaluation or factor")
                continue
            wrong += self._fits(use)
        for conflict in self.conflicts:
            wrong += self._conflict(conflict, factors, evaluations)
        if unknown := sorted(set(self.integration.order) - set(evaluations)):
            wrong.append(f"integration.order: {unknown} are no evaluations")
        for part in ("colours", "titles_zh", "titles_en"):
            if lacking := sorted({*self.integration.order, "other"} - set(getattr(self.integration, part))):
                wrong.append(f"integration.{part}: nothing for {lacking}")
        if lacking := sorted(set(CAPACITY) - set(self.capacity)):
            wrong.append(f"capacity: {lacking} are missing")
        for name in evaluations:
            if not any(use.evaluation == name for use in self.uses):
                wrong.append(f"evaluations.{name}: no factor is used")
        if wrong:
            raise ValueError(wrong[0])
        return self

    def _fits(self, use: Use) -> list[str]:
        """What is wrong between a use and its factor."""
        factor, where = self.factor(use.factor), f"uses {use.evaluation}/{use.factor}"
        if isinstance(factor.levels, str) and not hasattr(self.parameters, factor.levels):
            return [f"factors.{factor.id}.levels: no parameter {factor.levels}"]
        if use.effect == "limit":
            return [] if factor.kind == "inside" else [f"{where}: only polygons can be a limit"]
        form = "steps" if factor.continuous else "inside" if factor.kind == "inside" else "values"
        if (form == "inside" and use.inside is None) or (form != "inside" and not getattr(use, form)):
            return [f"{where}: a factor of kind {factor.kind} is used with {form}"]
        known = set(groups().index) if factor.kind == "class" else set(self.levels(factor))
        if use.values and (unknown := sorted(set(use.values) - known)):
            return [f"{where}.values: {unknown} are no groups or levels of the factor"]
        if bad := [score for score in use.values.values() if not 0 <= score <= 100]:
            return [f"{where}.values: {bad} are not from 0 to 100"]
        return []

    def _conflict(self, one: Conflict, factors: list[str], evaluations: list[str]) -> list[str]:
        by_factor = one.factor in factors and one.above is not None
        by_class = one.evaluation in evaluations and one.grade in {
            grade.id for grade in self.evaluation(one.evaluation).classes
        }
        if by_factor == by_class:
            return [f"conflicts.{one.id}: needs factor and above, or evaluation and class"]
        if unknown := sorted(set(one.uses) - set(groups().index)):
            return [f"conflicts.{one.id}.uses: {unknown} are no groups of land classes"]
        return []


def settings_path(city: City) -> Path:
    """File of a city's settings: beside its profile when the profile names one, else the packaged one."""
    return topic_settings.settings_path(city, "suitability", PACKAGED)


def load_settings(city: City) -> Settings:
    """Settings of a city.

    Raises
    ------
    DefinitionError
        When the file is absent or does not fit; names file, key and what is wrong.
    """
    return topic_settings.load_settings(city, "suitability", PACKAGED, read_settings)


def read_settings(path: Path) -> Settings:
    """Settings in a file."""
    return topic_settings.read_settings(path, Settings, _short)


def _short(value: Any) -> Any:
    """What was found, when it is short enough to be read."""
    return value if isinstance(value, str | int | float | bool) else None
