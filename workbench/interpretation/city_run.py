"""All that a city's profile asks of its images for a year: maps, patches, cases, pictures and figures, published in the catalogue.

What is published names what it was made of. A second run does again only what rests on something that changed: the maps on
images, weights and settings, everything else also on the city's layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.catalog import published
from workbench.core.cache import step_key
from workbench.core.codes import group
from workbench.core.errors import LayerMissing, ParameterError
from workbench.core.lineage import DIGITS
from workbench.core.paths import atomic_write, built_data_dir, cache_dir
from workbench.core.provenance import code_version
from workbench.indicators.values import highest_sensitivity
from workbench.interpretation import (
    area_limits,
    change,
    chips,
    confidence,
    findings,
    imagery,
    patches,
    transitions,
)
from workbench.interpretation.assessment import (
    FACTS,
    MAP,
    Assessment,
    Map,
    assess,
    draw_points,
    fact,
    map_of,
    survey_at,
    survey_reference,
)
from workbench.interpretation.cards import card_of
from workbench.interpretation.city_facts import (
    case_facts,
    change_facts,
    net_facts,
    readable_facts,
    transition_facts,
)
from workbench.interpretation.classes import CHANGE_CLASSES, scheme
from workbench.interpretation.strips import record_path
from workbench.rules.same_place import IMAGE_CASES

if TYPE_CHECKING:
    from workbench.catalog.data import CityData
    from workbench.core.city import City, Interpretation
    from workbench.interpretation.imagery import Scene

Say = Callable[[str], None]
FACTS_ROLE = "interpretation_facts"
"""Role of the figures."""
BUILT_GROUP = "construction"
NO_REFERENCE = (
    "no_reference",
    "没有参考样本，只有图上面积，不能给出区间",
    "no reference sample: areas of the map alone, without interval",
)


def interpret(
    city: City, year: int, *, data: CityData | None = None, use_cache: bool = True, engine: str = "auto", say: Say | None = None
) -> bool:  # fmt: skip
    """Read a city's images of a year as its profile asks (section ``[interpretation]``) and publish what they show.

    Maps, patches, cases and figures are then layers of the catalogue: ``land_cover_map, change_map, detected_changes,
    detected_cases, interpretation_facts``.

    Parameters
    ----------
    city : City
        Profile.
    year : int
        Year of the images; change is that since the images of the year before.
    data : CityData, optional
        The city's layers; opened when not given.
    use_cache : bool
        Keep what was published and rests on nothing that changed.
    engine : str
        How nets are computed, see :func:`workbench.interpretation.engines.choose`.
    say : callable, optional
        Told of steps in words.

    Returns
    -------
    bool
        Whether anything was done; False where all that was published still holds.

    Raises
    ------
    ParameterError
        The profile asks for nothing.
    LayerMissing
        There are no images of the year.
    ImageError, WeightsError
        Images or weights cannot be used.
    """
    from workbench.catalog.data import CityData as Data

    wanted = city.interpretation
    if wanted is not None:
        known = (*scheme("six")["class"], CHANGE_CLASSES[1])
        area_limits.check(wanted.limits, known, f"{city.path.name}: interpretation.limits")
    if wanted is None or not (wanted.land_cover or wanted.change or wanted.method != "net"):
        raise ParameterError(
            "the profile asks for nothing to be read from images", where=f"{city.path.name}: interpretation",
            expected="[interpretation] with land_cover, change or method", hint="see docs/add_a_model.md",
        )  # fmt: skip
    tell: Say = say or (lambda text: None)
    run = _Run(city, year, wanted, data or Data(city), engine, tell)
    key = run.key()
    if use_cache and run.kept() == key:
        return False
    run.maps(use_cache)
    run.figures()
    run.keep(key)
    return True


def get_ready(city: City, year: int) -> None:
    """Import the nets' libraries, which takes seconds, where images of a city and year were never read.

    For a process that has to wait before it may read. Where they were read before, most often nothing is to be done again.
    """
    if not _record(city.name, year).exists():
        from workbench.interpretation import engines, predict  # noqa: F401

        engines.machine()


def _record(city_name: str, year: int) -> Path:
    """File that says what was published last."""
    return built_data_dir() / city_name / published.FOLDER / f"interpretation-{year}.json"


@dataclass
class _Run:
    """One run: what it is for, and what it has read so far."""

    city: City
    year: int
    wanted: Interpretation
    data: CityData
    engine: str
    say: Say
    _images: dict[int, list[Scene]] = field(default_factory=dict)

    def _scenes(self, year: int) -> list[Scene]:
        """Images of a year."""
        if year not in self._images:
            self._images[year] = imagery.scenes(self.data, year)
        return self._images[year]

    @property
    def folder(self) -> Path:
        """Where maps are made before they are published."""
        return cache_dir() / "interpretation" / self.city.name / str(self.year)

    def key(self) -> str:
        """Hash of all that the result depends on: layers, images, weights, profile, code."""
        inputs = {}
        for role in self.city.layers:
            years: list[int | None] = [*self.data.years(role)]
            for one in years or [None]:
                if self.data.has(role, one):
                    inputs[f"{role}-{one}"] = self.data.source(role, one).sha256
        for name in (self.wanted.land_cover, self.wanted.change):
            if name:
                inputs[f"weights:{name}"] = card_of(name)[1].sha256
        return step_key(
            "interpretation", inputs=inputs, parameters={"year": self.year, "profile": self.city.profile_text},
            code=code_version(),
        )  # fmt: skip

    def kept(self) -> str:
        """Key of what was published last; empty when any of it is gone."""
        if not _record(self.city.name, self.year).exists():
            return ""
        told = json.loads(_record(self.city.name, self.year).read_text(encoding="utf-8"))
        there = all(self.data.has(role, self.year) for role in told["roles"])
        return str(told["key"]) if there else ""

    def keep(self, key: str) -> None:
        """Remember what was published."""
        roles = [FACTS_ROLE]
        if self.wanted.land_cover:
            roles.append(MAP)
        if self._looks_for_change():
            roles += [
                change.ROLE,
                patches.ROLE,
                IMAGE_CASES,
                *([transitions.ROLE] if self.wanted.land_cover else []),
            ]
        with atomic_write(_record(self.city.name, self.year)) as path:
            path.write_text(json.dumps({"key": key, "roles": roles}, ensure_ascii=False), encoding="utf-8")

    def _looks_for_change(self) -> bool:
        earlier = any(
            self.data.has(role, self.year - 1) for role in self.city.layers if role.startswith("imagery")
        )
        return earlier and bool(self.wanted.change or self.wanted.method != "net")

    def maps(self, use_cache: bool) -> None:
        """Land cover of both years, change between them, and its patches."""
        if self.wanted.land_cover:
            self._land_cover(self.year, use_cache)
            if self._looks_for_change():
                self._land_cover(self.year - 1, use_cache)
        if self._looks_for_change():
            self._change(use_cache)

    def _land_cover(self, year: int, use_cache: bool) -> None:
        scenes = self._scenes(year)
        inputs = _inputs(scenes) | _net_input(self.wanted.land_cover)
        # how sure it is is held against the reference
        judged = bool(self.wanted.reference) and year == self.year
        there = not judged or self._asset(MAP, confidence.ASSET) is not None
        compared = self._looks_for_change()  # class by class, which needs what the net says of every class
        there &= not compared or self._probabilities(year).exists()
        if use_cache and there and published.made_of(self.city.name, MAP, year) == inputs:
            return
        from workbench.interpretation import predict, weights  # torch, which takes seconds to import

        model = weights.load(self.wanted.land_cover)
        self.say(f"land cover {year}: {len(scenes)} images")
        made = predict.predict(
            scenes, model, self.folder / f"land_cover_{year}.tif", engine=self.engine,
            probabilities=judged or compared, say=self.say
        )  # fmt: skip
        predict.publish(self.city, year, made, model.card)

    def _probabilities(self, year: int) -> Path:
        """Probabilities of the classes beside a land-cover map."""
        return self.folder / f"land_cover_{year}_probability.tif"

    def _least(self) -> float:
        """Smallest patch of other land change in m²."""
        return max(self.wanted.mmu_m2, transitions.LEAST_M2)

    def _asset(self, role: str, name: str) -> Path | None:
        return published.asset(self.city.name, role, self.year, name)

    def _change(self, use_cache: bool) -> None:
        from workbench.catalog.data import CityData as Data

        pairs = imagery.pairs(self.data, self.year - 1, self.year)
        out = self.folder / f"change_{self.year}.tif"
        inputs = _inputs([scene for pair in pairs for scene in (pair.before, pair.after)])
        if self.wanted.method == "net":
            inputs |= _net_input(self.wanted.change)
        found = self._same_change(out, inputs) if use_cache else None
        if found is None:
            self.say(f"change {self.year - 1} to {self.year}: {len(pairs)} pairs of images")
            if self.wanted.method == "net":
                from workbench.interpretation import weights

                model = weights.load(self.wanted.change)
                found = change.detect(pairs, out, model=model, engine=self.engine, say=self.say)
            else:
                found = change.detect(pairs, out, method=self.wanted.method, say=self.say)
            change.publish(self.city, self.year, found)
        now = Data(self.city)
        maps = [now.source(MAP, one).path if now.has(MAP, one) else None
                for one in (self.year - 1, self.year)]  # fmt: skip
        survey = now.vector("land_use", self.year - 1) if now.has("land_use", self.year - 1) else None
        shapes = patches.change_patches(found, *maps, mmu_m2=self.wanted.mmu_m2, survey=survey)
        patches.publish(self.city, self.year, shapes, found)
        if self.wanted.land_cover:
            self.say("other changes of the land")
            was, is_ = self._probabilities(self.year - 1), self._probabilities(self.year)
            other = transitions.land_changes(was, is_, found, pairs, mmu_m2=self._least(), survey=survey)
            patches.publish(self.city, self.year, other, found, role=transitions.ROLE)

    def _same_change(self, out: Path, inputs: dict[str, str]) -> change.ChangeMap | None:
        """The change map made before, where it is published, whole and of the same images, weights and method."""
        if (
            published.made_of(self.city.name, change.ROLE, self.year) != inputs
            or not record_path(out).exists()
        ):
            return None
        found = change.ChangeMap.read(out)
        there = (
            found.path.exists()
            and found.probability.exists()
            and self._asset(change.ROLE, "data") is not None
        )
        return found if there and found.record["method"] == self.wanted.method else None

    def figures(self) -> None:
        """Cases of the patches with their pictures, and all figures."""
        from workbench.catalog.data import CityData as Data

        self.data = Data(self.city)
        rows = self._image_facts()
        if self.wanted.land_cover:
            self.say("accuracy and areas of land cover")
            judged = map_of(self.city, self.year, self.data)
            rows += self._judged(judged, "", survey_reference, confidence.ASSET)
            rows += self._nets(self.wanted.land_cover)
        if self._looks_for_change():
            self.say("cases of the changed land")
            rows += self._found()
            source = self.data.source(change.ROLE, self.year)
            judged = Map(source.path, change.ROLE, self.year, CHANGE_CLASSES, sensitivity=source.sensitivity)
            rows += self._judged(judged, "change_", change_reference, "probability")
            rows += self._nets(self.wanted.change if self.wanted.method == "net" else "")
        published.publish(
            self.city, FACTS_ROLE, self.year, pd.DataFrame(rows, columns=[*FACTS, "sensitivity"]), source="影像解译", tier="proxy",
            sensitivity=highest_sensitivity(row["sensitivity"] for row in rows), inputs=self._made_of(),  # type: ignore[arg-type]
            note_zh="影像解译的面积与精度", note_en="areas and accuracy of what was read from images", date=self._date(),
        )  # fmt: skip

    def _date(self) -> str:
        """Day of the latest image."""
        return f"{self._scenes(self.year)[-1].date:%Y-%m-%d}"

    def _made_of(self) -> dict[str, str]:
        roles = [MAP, change.ROLE, patches.ROLE, transitions.ROLE]
        return {f"{role}-{self.year}": self.data.source(role, self.year).sha256[:DIGITS]
                for role in roles if self.data.has(role, self.year)}  # fmt: skip

    def _image_facts(self) -> list[dict[str, Any]]:
        rows = []
        for year in (self.year, self.year - 1):
            try:
                scenes = self._scenes(year)
            except LayerMissing:
                continue
            basis = ", ".join(scene.name for scene in scenes)
            rows.append(fact("images", f"scenes.{year}", len(scenes), unit="count", basis=basis))
        return _cleared(rows, "公开")

    def _judged(
        self,
        judged: Map,
        prefix: str,
        reference: Callable[[gpd.GeoDataFrame, int, CityData], npt.NDArray[Any]],
        asset: str,
    ) -> list[dict[str, Any]]:
        """Figures of a map: with intervals where there is a reference, else the map's areas alone.

        ``asset`` names the raster beside it that says how sure it is.
        """
        drawn = draw_points(judged, self.wanted.sample_points, seed=self.wanted.seed)
        zones = self._zones()
        seen = [] if zones is None else readable_facts(prefix, judged.path, drawn.areas, zones, judged.recode)
        role = self.wanted.reference
        if not role or not self.data.has(role, self.year):
            rows = [
                *seen,
                *(fact(f"{prefix}area", f"mapped.{judged.classes[value - 1]}", area / 1e4, unit="ha", decimals=1, basis="cells of the map")
                for value, area in drawn.areas.items() if 1 <= value <= len(judged.classes))
            ]  # fmt: skip
            rows.append(
                fact(
                    f"{prefix}accuracy",
                    "overall",
                    np.nan,
                    unit="%",
                    decimals=1,
                    basis=judged.role,
                    reason=NO_REFERENCE,
                )
            )
            return _cleared(rows, judged.sensitivity)
        if role != "land_use":
            raise ParameterError("no such reference", where=f"{self.city.path.name}: interpretation.reference", found=role,
                                 expected="land_use, or none")  # fmt: skip
        found = reference(drawn.points, self.year, self.data)
        sure = self._asset(judged.role, asset)
        said = None if sure is None else confidence.probability_at(sure, drawn.points)
        if said is not None and judged.role == change.ROLE:  # elsewhere hardly anything is ever said
            said = np.where(drawn.points["mapped"] == CHANGE_CLASSES[1], said, np.nan)
        result: Assessment = assess(
            self.city, self.year, judged, drawn, found, openness=self.data.source(role, self.year).sensitivity,
            seed=self.wanted.seed, probability=said,
            limits=area_limits.for_classes(area_limits.limits_of(self.city, self.year), judged.classes),
        )  # fmt: skip
        table = result.facts.assign(part=prefix + result.facts["part"])
        told: list[Any] = table.to_dict("records")
        return _cleared(seen, judged.sensitivity) + _cleared(told, result.sensitivity)

    def _zones(self) -> gpd.GeoDataFrame | None:
        """Zones of the first level; together they are the city."""
        return self.data.zones(next(iter(self.city.levels))) if self.city.levels else None

    def _nets(self, name: str) -> list[dict[str, Any]]:
        """How good a net was in places kept from its training, as its card has it."""
        return _cleared(net_facts(card_of(name)[1]), "公开") if name else []

    def _found(self) -> list[dict[str, Any]]:
        shapes = self.data.vector(patches.ROLE, self.year)
        other = self.data.vector(transitions.ROLE, self.year) if self.wanted.land_cover else shapes.head(0)
        every = gpd.GeoDataFrame(
            pd.concat([one for one in (shapes, other) if len(one)] or [shapes], ignore_index=True)
        )
        cases = findings.cases(self.city, self.year, every, data=self.data)
        source = self.data.source(patches.ROLE, self.year)
        roles = [role for role in ("permits", "permanent_farmland", "land_use") if role in self.city.layers]
        open_to = highest_sensitivity(
            [source.sensitivity, *(self.city.layers[role].sensitivity for role in roles)]
        )
        published.publish(
            self.city, IMAGE_CASES, self.year, _plain(cases), source="影像变化与规划控制线、审批套合", tier="proxy",
            sensitivity=open_to, inputs=self._made_of(),  # type: ignore[arg-type]
            note_zh="疑似问题，未经核实", note_en="suspected, not verified", date=self._date(),
        )  # fmt: skip
        self.say("pictures of the first cases")
        chips.write_chips(self.city.name, self.year, cases, imagery.pairs(self.data, self.year - 1, self.year),
                          lang=self.city.language)  # fmt: skip
        zones = self._zones()
        told = change_facts(shapes, zones, f"patches of {change.ROLE} of at least {self.wanted.mmu_m2:g} m²")
        if self.wanted.land_cover:
            told += transition_facts(other, f"patches of {transitions.ROLE} of at least {self._least():g} m²")
        return _cleared(told, source.sensitivity) + _cleared(case_facts(cases, zones), open_to)


def _cleared(rows: list[dict[str, Any]], sensitivity: str) -> list[dict[str, Any]]:
    return [{**row, "sensitivity": sensitivity} for row in rows]


def change_reference(points: gpd.GeoDataFrame, year: int, data: CityData) -> npt.NDArray[np.object_]:
    """``changed`` where the surveys of two years say that land became construction land; empty where one says nothing."""
    built = group(BUILT_GROUP)
    before, after = (survey_at(points, one, data) for one in (year - 1, year))
    new = ~before.isin(built) & after.isin(built)
    told = before.notna() & after.notna()
    return np.where(told, np.where(new, CHANGE_CLASSES[1], CHANGE_CLASSES[0]), "").astype(object)


def _inputs(scenes: Sequence[Scene]) -> dict[str, str]:
    return {scene.name: scene.sha256[:DIGITS] for scene in scenes}


def _net_input(name: str) -> dict[str, str]:
    """What a map says of the net it was made with."""
    card = card_of(name)[1]
    return {f"weights:{card.name}": card.sha256[:DIGITS]}


def _plain(cases: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Cases as Parquet keeps them: lists as words."""
    out = cases.copy()
    for name in out.columns.difference(["geometry"]):
        if out[name].map(lambda value: isinstance(value, list | tuple | set)).any():
            out[name] = out[name].map(
                lambda value: " ".join(map(str, value)) if isinstance(value, list | tuple | set) else value
            )
    return out
