"""Checks of the review itself: place, land now, parts of the boundary, planned use, intensity, quota, permits, projects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
import shapely

from workbench.core.codes import match, names
from workbench.evaluation.review.areas import fused
from workbench.evaluation.review.items import Item, area_short, area_words, joined, part_words, say
from workbench.evaluation.review.layers import Layer
from workbench.evaluation.review.measure import Measure, both, without
from workbench.evaluation.review.proposal import Proposal
from workbench.evaluation.review.settings import Settings
from workbench.rules.shapes import SPECK_M2, thick

Words = tuple[str, str]
BOUNDARY = "development_boundary"
SHOWN = 4
"""Land classes, units or projects that are named in a sentence."""
KINDS_EN = {
    "预审": "pre-examination", "农转用": "conversion", "供地": "land supply", "规划许可": "planning permit",
    "施工": "building permit", "核实": "completion check", "临时用地": "temporary land", "设施农用地": "facility farmland",
}  # fmt: skip
"""Kinds of permit, which are stages of a project too, in English."""
FIRM = frozenset({"供地", "规划许可", "施工", "核实"})
"""Permits that give the land to a project."""


@dataclass
class Ledger:
    """What the quota ledger says, or why there is none."""

    table: pd.DataFrame | None
    """Balances by zone: columns of :data:`workbench.evaluation.ledger.BALANCE`; None when there is no ledger."""
    year: int
    why: Words = ("", "")

    @cached_property
    def left(self) -> dict[str, float]:
        """Hectares left by zone; NaN for a zone that was given no quota."""
        if self.table is None:
            return {}
        return dict(zip(self.table["zone"].astype(str), self.table["left"].astype(float), strict=True))


@dataclass
class Papers:
    """Permits in force on the proposals' land, one row a proposal and project; in the order of the proposals."""

    owner: Any
    """Position of the proposal."""
    project: Any
    kinds: list[list[str]]
    shapes: Any
    areas: slice
    ended: Any
    """Number of permits that have ended, by proposal."""


@dataclass
class OwnChecks:
    """Judges everything that is no rule of a pack, for the proposals of a measure."""

    settings: Settings
    measure: Measure
    missing: Mapping[str, Words]
    ledger: Ledger
    city: Any
    on: pd.Timestamp
    sources: pd.DataFrame
    _new: np.ndarray[Any, Any] | None = None
    _new_by: dict[str, tuple[Any, Any, slice]] = field(default_factory=dict)
    _papers: Papers | None = None
    _placed: dict[int, tuple[dict[str, str], float]] = field(default_factory=dict)
    _lands: dict[int, dict[str, float]] = field(default_factory=dict)

    def prepare(self, *, building: bool) -> None:
        """Work out all shapes; ``building`` says whether any proposal builds."""
        measure = self.measure
        for role in ("districts", "units", "land_use", "plots"):
            measure.piece_areas(role)
        if BOUNDARY in measure.lines:
            measure.piece_areas(BOUNDARY)
        measure.piece_areas("projects")
        if "permits" in measure.layers:
            self._papers = self._permits_by_project()
        if building and self.ledger.table is not None and not {"land_use", BOUNDARY} & set(self.missing):
            self._new_construction()

    def _new_construction(self) -> None:
        """Land inside the boundary that is not built on now, by district and unit."""
        measure = self.measure
        built = measure.land("construction")
        self._new = without(measure.inside(BOUNDARY), built)
        for role in ("districts", "units"):
            pieces = measure.pieces(role)
            part = both(self._new[pieces.shape], pieces.geometry)
            self._new_by[role] = (pieces.shape, pieces.feature, measure.book.add(part, pieces.shape))

    def _permits_by_project(self) -> Papers:
        """Permits in force, those of one project on one proposal taken together."""
        pieces, layer = self.measure.pieces("permits"), self._layer("permits")
        alive = layer.alive(self.on)[pieces.feature]
        ended = np.bincount(pieces.shape[~alive], minlength=len(self.measure))
        some = pieces.of(alive)
        if not len(some.shape):
            return Papers(
                some.shape,
                some.shape,
                [],
                some.geometry,
                self.measure.book.add(some.geometry, some.shape),
                ended,
            )
        codes = layer.column("project_code")[some.feature].tolist()
        groups: dict[tuple[int, str], int] = {}
        number = [
            groups.setdefault(pair, len(groups)) for pair in zip(some.shape.tolist(), codes, strict=True)
        ]
        shapes = fused(some.geometry, np.array(number, dtype=np.intp), len(groups))
        kinds: list[list[str]] = [[] for _ in range(len(groups))]
        for at, kind in zip(number, layer.column("kind")[some.feature], strict=True):
            if kind not in kinds[at]:
                kinds[at].append(str(kind))
        owner = np.array([one for one, _ in groups], dtype=np.intp)
        project = [code for _, code in groups]
        return Papers(owner, project, kinds, shapes, self.measure.book.add(shapes, owner), ended)

    # --- helpers ------------------------------------------------------------------------------------------------------
    def _item(
        self, check: str, layer: str, verdict: str, *words: Words, needs: tuple[str, ...] = (), **more: Any
    ) -> Item:
        stated = self.settings.checks[check]
        return Item(check, layer, verdict, stated["zh"], stated["en"], *joined(*words), clause=stated.get("clause", ""),
                    needs=needs, **(more | self.settings.worded(needs)))  # fmt: skip

    def _missing(self, check: str, role: str) -> Item:
        return self._item(check, role, "not_checked", say("missing.layer", why=self.missing[role], holder=""))

    def _here(self, role: str, k: int) -> tuple[Any, Any, Any]:
        """Positions, areas and shapes of the polygons of a layer that a proposal meets."""
        pieces = self.measure.pieces(role)
        here = pieces.here(k)
        areas = self.measure.book[self.measure.piece_areas(role)][here]
        return pieces.feature[here], areas, pieces.geometry[here]

    def _whole(self, k: int) -> float:
        return float(self.measure.book[self.measure.area][k])

    def _layer(self, role: str) -> Layer:
        return self.measure.lines[role].now if role in self.measure.lines else self.measure.layers[role]

    def _small(self, area: float, shape: Any = None) -> bool:
        """Whether an overlap is mismatch of boundaries; its shape is asked for its slivers where given."""
        if area < self.settings.min_area_m2:
            return True
        if shape is None:
            return False
        if shape.geom_type == "Polygon":
            return bool(2 * shape.area < self.settings.min_width_m * shape.length)
        solid = thick(np.array([shape], dtype=object), self.settings.min_width_m)[0]
        return solid is None or solid.area < self.settings.min_area_m2

    # --- place --------------------------------------------------------------------------------------------------------
    def place(self, k: int) -> tuple[dict[str, str], float]:
        """Zones that hold most of a proposal, and the area outside all of them."""
        if k in self._placed:
            return self._placed[k]
        found = dict.fromkeys(("district", "district_name", "unit", "unit_name"), "")
        outside = self._whole(k)
        for role, name in (("districts", "district"), ("units", "unit")):
            if role not in self.measure.layers:
                continue
            numbers, areas, _ = self._here(role, k)
            if len(numbers):
                best = numbers[int(np.argmax(areas))]
                layer = self._layer(role)
                found[name], found[f"{name}_name"] = str(layer.ids[best]), str(layer.column("name")[best])
            if role == "districts":
                outside = max(self._whole(k) - float(areas.sum()), 0.0)
        self._placed[k] = found, outside
        return found, outside

    def location(self, k: int) -> Item:
        """Place, unit, and what lies outside the city."""
        place, outside = self.place(k)
        whole = self._whole(k)
        if outside >= whole - SPECK_M2:
            return self._item("rv_location", "districts", "not_checked",
                              say("location.nowhere", city=(self.city.name_zh, self.city.name_en)))  # fmt: skip
        district = (place["district_name"], f"{place['district_name']} {place['district']} ".strip())
        unit = (place["unit_name"], f", {place['unit_name']} {place['unit']}" if place["unit"] else "")
        words = [say("location.place", district=district, unit=unit, area=area_words(whole, whole))]
        if "units" in self.measure.layers:
            numbers, areas, _ = self._here("units", k)
            real = [(n, a) for n, a in zip(numbers, areas, strict=True) if a >= self.settings.min_area_m2]
            if len(real) > 1:
                layer = self._layer("units")
                real.sort(key=lambda pair: -pair[1])
                names_ = layer.column("name")
                words.append(say("location.several", count=len(real), list=_listed([
                    ((str(names_[n]), str(names_[n])), float(a)) for n, a in real], whole)))  # fmt: skip
        if outside >= max(self.settings.min_area_m2, 1e-6 * whole):
            words.append(say("location.outside", area=area_words(outside, whole)))
            return self._item("rv_location", "districts", "not_checked", *words, area_m2=outside, share=outside / whole,
                              geometry=self._outside(k))  # fmt: skip
        return self._item("rv_location", "units", "complies", *words)

    def _outside(self, k: int) -> Any:
        _, _, shapes = self._here("districts", k)
        return shapely.difference(self.measure.shapes[k], shapely.union_all(shapes))

    # --- land now -----------------------------------------------------------------------------------------------------
    def land(self, k: int) -> dict[str, float]:
        """Survey class -> square metres, the largest first."""
        if "land_use" not in self.measure.layers:
            return {}
        if k not in self._lands:
            numbers, areas, _ = self._here("land_use", k)
            self._lands[k] = _sums(self._layer("land_use").column("dlbm")[numbers], areas)
        return self._lands[k]

    def land_use(self, k: int, proposal: Proposal) -> Item:
        """Land use now, conversion of farm land and unused land."""
        if "land_use" in self.missing:
            return self._missing("rv_land_use", "land_use")
        whole, classes = self._whole(k), self.land(k)
        zh, en = _names("zh"), _names("en")
        words = [
            say(
                "land_use.now",
                list=_listed([((zh.get(c, c), en.get(c, c)), a) for c, a in classes.items()], whole),
            )
        ]
        bare = max(whole - sum(classes.values()), 0.0)
        needs: list[str] = []
        gone = 0.0
        if not classes:
            words = []
        elif not proposal.use.builds:
            words.append(say("land_use.no_building"))
        else:
            codes = list(classes)
            for group, need in (("agricultural", "conversion"), ("unused", "unused_conversion")):
                area = sum(classes[c] for c in codes if _belongs(c, group))
                if area >= self.settings.min_area_m2:
                    words.append(say(f"land_use.{group}", area=area_words(area, whole)))
                    needs.append(need)
                    gone += area
            if not needs:
                words.append(say("land_use.built"))
        uncovered = bare >= max(self.settings.min_area_m2, 1e-6 * whole)
        if uncovered:
            words.append(say("land_use.uncovered", area=area_words(bare, whole)))
        verdict = "needs" if needs else "not_checked" if uncovered else "complies"
        return self._item("rv_land_use", "land_use", verdict, *words, needs=tuple(needs), area_m2=gone,
                          share=gone / whole if whole else 0.0)  # fmt: skip

    # --- boundary -----------------------------------------------------------------------------------------------------
    def boundary_kind(self, k: int, proposal: Proposal) -> Item:
        """Parts of the development boundary a proposal lies in."""
        if BOUNDARY in self.missing:
            return self._missing("rv_boundary_kind", BOUNDARY)
        numbers, areas, shapes = self._here(BOUNDARY, k)
        whole = self._whole(k)
        if areas.sum() < self.settings.min_area_m2:
            return self._item("rv_boundary_kind", BOUNDARY, "complies", say("boundary_kind.none"))
        kinds = self._layer(BOUNDARY).column("kind")[numbers]
        if not any(kinds):
            return self._item("rv_boundary_kind", BOUNDARY, "not_checked", say("boundary_kind.unknown"))
        verdict, needs, concerned = "complies", [], np.zeros(len(kinds), dtype=bool)
        for one in self.settings.boundary_kinds.values():
            hit = np.array([any(word in kind for word in one["words"]) for kind in kinds], dtype=bool)
            if (
                proposal.use.builds
                and one["verdict"] != "complies"
                and areas[hit].sum() >= self.settings.min_area_m2
            ):
                verdict = "conflicts" if "conflicts" in (verdict, one["verdict"]) else "needs"
                needs += one["needs"]
                concerned |= hit
        words = say(
            "boundary_kind.parts", list=_listed([((c, c), a) for c, a in _sums(kinds, areas).items()], whole)
        )
        area = float(areas[concerned].sum())
        shape = shapely.union_all(shapes[concerned]) if concerned.any() else None
        return self._item("rv_boundary_kind", BOUNDARY, verdict, words, needs=tuple(needs), area_m2=area,
                          share=area / whole, geometry=shape)  # fmt: skip

    # --- quota --------------------------------------------------------------------------------------------------------
    def quota(self, k: int, proposal: Proposal) -> Item:
        """Quota of the district and the unit against new construction land inside the boundary."""
        if self.ledger.table is None:
            return self._item("rv_quota", "quota_ledger", "not_checked",
                              say("quota.missing", year=self.ledger.year, why=self.ledger.why))  # fmt: skip
        for role in ("land_use", BOUNDARY):
            if role in self.missing:
                return self._missing("rv_quota", role)
        if not proposal.use.builds or self._new is None or self._new[k] is None:
            return self._item("rv_quota", "quota_ledger", "complies", say("quota.none"))
        whole = self._whole(k)
        verdict, needs, told, total = "complies", [], [], 0.0
        for role, need in (("districts", "quota_transfer"), ("units", "quota_in_district")):
            owner, feature, areas = self._new_by[role]
            here = slice(*np.searchsorted(owner, (k, k + 1)))
            layer = self._layer(role)
            for n, area in zip(feature[here], self.measure.book[areas][here], strict=True):
                if area < self.settings.min_area_m2:
                    continue
                total += float(area) if role == "districts" else 0.0
                words, short = self._zone_quota(str(layer.ids[n]), str(layer.column("name")[n]), area / 1e4)
                told.append(words)
                if short and need not in needs:
                    verdict = (
                        "conflicts" if role == "districts" else "needs" if verdict == "complies" else verdict
                    )
                    needs.append(need)
        if total < self.settings.min_area_m2:
            return self._item("rv_quota", "quota_ledger", "complies", say("quota.none"))
        first = say("quota.uses", area=area_words(total, whole), ha=f"{total / 1e4:,.2f}")
        return self._item("rv_quota", "quota_ledger", verdict, first, *told, say("quota.basis", year=self.ledger.year),
                          needs=tuple(needs), area_m2=total, share=total / whole, geometry=self._new[k])  # fmt: skip

    def _zone_quota(self, code: str, name: str, ha: float) -> tuple[Words, bool]:
        """Sentence on the quota of a zone, and whether it is short."""
        left = self.ledger.left.get(code, math.nan)
        if math.isnan(left):
            return say("quota.no_quota", zone=name), False
        if left >= ha:
            return say("quota.enough", zone=name, left=f"{left:,.2f}"), False
        if left < 0:
            return say("quota.overdrawn", zone=name, over=f"{-left:,.2f}", ha=f"{ha:,.2f}"), True
        return say("quota.short", zone=name, left=f"{left:,.2f}", by=f"{ha - left:,.2f}"), True

    # --- permits and projects -----------------------------------------------------------------------------------------
    def permits(self, k: int, proposal: Proposal) -> Item:
        """Permits in force that cover the land, by project."""
        if "permits" in self.missing:
            return self._missing("rv_permits", "permits")
        papers = self._papers
        assert papers is not None
        here = range(*np.searchsorted(papers.owner, (k, k + 1)))
        areas = self.measure.book[papers.areas]
        rows = [(float(areas[n]), str(papers.project[n]), papers.kinds[n], papers.shapes[n]) for n in here]
        return self._overlaps("rv_permits", "permits", k, proposal, rows, int(papers.ended[k]))

    def projects(self, k: int, proposal: Proposal) -> Item:
        """Projects on record that overlap."""
        if "projects" in self.missing:
            return self._missing("rv_projects", "projects")
        numbers, areas, shapes = self._here("projects", k)
        layer = self._layer("projects")
        names_, stages = layer.column("name"), layer.column("stage")
        rows = [
            (float(area), str(layer.ids[n]), [str(names_[n]), str(stages[n])], shape)
            for n, area, shape in zip(numbers, areas, shapes, strict=True)
        ]
        return self._overlaps("rv_projects", "projects", k, proposal, rows, 0)

    def _overlaps(
        self,
        check: str,
        role: str,
        k: int,
        proposal: Proposal,
        rows: list[tuple[float, str, list[str], Any]],
        ended: int,
    ) -> Item:
        """Item on projects that have papers on the land: own ones are told, others must be cleared."""
        whole, part = self._whole(k), "permits" if role == "permits" else "projects"
        sized = sorted(rows, key=lambda row: -row[0])
        words: list[Words] = []
        others: list[tuple[float, Any]] = []
        verdict, tolerated = "complies", 0.0
        for area, code, kinds, shape in sized:
            own = bool(proposal.project) and code == proposal.project
            if not own and self._small(area, shape):
                tolerated += area
                continue
            values: dict[str, Any] = {"project": code or "—", "area": area_words(area, whole)}
            if part == "permits":
                values["kinds"] = "、".join(kinds), ", ".join(KINDS_EN.get(kind, kind) for kind in kinds)
            else:
                values |= {"name": kinds[0], "stage": (kinds[1], KINDS_EN.get(kinds[1], kinds[1]))}
            if not own:
                others.append((area, shape))
                held = part == "permits" and bool(FIRM & set(kinds)) and bool(proposal.project)
                verdict = "conflicts" if held or verdict == "conflicts" else "needs"
            if len(words) < SHOWN:
                words.append(say(f"{part}.{'own' if own else 'other'}", **values))
        if len(others) > SHOWN:
            words.append(say("permits.more", count=len(others) - SHOWN))
        if not words:
            words.append(say(f"{part}.none"))
        if tolerated:
            words.append(say("permits.small", area=area_short(tolerated)))
        if ended:
            words.append(say("permits.ended", count=ended))
        union: Any = shapely.union_all([one for _, one in others]) if others else None
        area = math.fsum(one for one, _ in others)
        if len(others) > 1 and union.area < (1 - 1e-9) * math.fsum(one.area for _, one in others):
            area = (
                union.area * whole / self.measure.shapes[k].area
            )  # they overlap each other: scale of the site
        return self._item(check, role, verdict, *words, needs=("same_project",) if others else (), area_m2=area,
                          share=area / whole, tolerated_m2=tolerated, geometry=union,
                          features="; ".join(code for _, code, _, _ in sized[:SHOWN]))  # fmt: skip

    def _area(self, shape: Any) -> float:
        from workbench.operators.area import area_m2

        return float(area_m2([shape], self.city.crs)[0])

    # --- data ---------------------------------------------------------------------------------------------------------
    def currency(self) -> Item:
        """Whether the layers are within their update cycle; the same for all proposals."""
        old = self.sources[self.sources["state"] == "old"]
        undated = self.sources[self.sources["state"] == "undated"]
        words, verdict = [], "complies"
        for key, rows in (("old", old), ("undated", undated)):
            if len(rows):
                text = tuple(
                    mark.join(
                        f"{row[f'name_{lang}']} {row['date']}".strip() for row in rows.to_dict("records")
                    )
                    for lang, mark in (("zh", "、"), ("en", ", "))
                )
                words.append(say(f"currency.{key}", list=text))
                verdict = "needs" if key == "old" or verdict == "needs" else "not_checked"
        if not words:
            dates = sorted(date for date in self.sources["date"] if date)
            words.append(say("currency.fresh", date=dates[0] if dates else "—"))
        return self._item(
            "rv_currency", "", verdict, *words, needs=("newer_data",) if verdict == "needs" else ()
        )


@cache
def _names(lang: str) -> dict[str, str]:
    """Names of the land classes, made once."""
    return names(lang)


@cache
def _belongs(code: str, group: str) -> bool:
    """Whether a land class is one of a group."""
    return bool(match([code], group)[0])


def _sums(classes: Any, areas: Any) -> dict[str, float]:
    """Area by class, the largest first."""
    found: dict[str, float] = {}
    for name, area in zip(classes, areas, strict=True):
        found[str(name)] = found.get(str(name), 0.0) + float(area)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _listed(parts: list[tuple[Words, float]], whole: float) -> Words:
    """Names with their areas, the first few, in both languages."""
    shown = [
        (name, part_words(area, whole) if len(parts) > 1 else area_short(area))
        for name, area in parts[:SHOWN]
    ]
    rest = sum(area for _, area in parts[SHOWN:])
    zh, en = ([f"{name[at]}{' ' * at}{area[at]}" for name, area in shown] for at in (0, 1))
    if rest:
        zh.append(f"其余{area_short(rest)[0]}")
        en.append(f"others {area_short(rest)[1]}")
    return "、".join(zh), ", ".join(en)


__all__ = ["BOUNDARY", "Ledger", "OwnChecks"]
