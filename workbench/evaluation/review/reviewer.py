"""Reviews proposals against a city's plan: opened once, then milliseconds a proposal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from workbench.core.errors import DataQualityError, LayerMissing, WorkbenchError
from workbench.evaluation.review.items import Item, Review, frame_of, in_order, say
from workbench.evaluation.review.layers import KEYS, Layer, LineLayer, line_layer
from workbench.evaluation.review.line_checks import LineCheck, LineJudge, line_checks
from workbench.evaluation.review.measure import Measure
from workbench.evaluation.review.own_checks import Ledger, OwnChecks, Words
from workbench.evaluation.review.planned import intensity, planned_use, planned_uses
from workbench.evaluation.review.proposal import Proposal, make_proposal
from workbench.evaluation.review.settings import Settings, read_settings
from workbench.evaluation.review.shapes import clean_shape
from workbench.operators.guards import metric_crs

if TYPE_CHECKING:
    from workbench.core.city import City

PLAIN = ("districts", "units", "land_use", "permits", "projects")
"""Roles that are no lines."""
DATED = ("land_use",)
"""Roles looked up for the year of the review."""
BLOCK = 500
"""Proposals of a batch that are measured together."""
Progress = Callable[[int, int], None]


class Reviewer:
    """A city's lines, zones, plots and permits, indexed for reviews.

    Parameters
    ----------
    city : City
        Profile.
    year : int
        Year of the land survey and of the ledger.
    on_date : Timestamp
        Day for which lines, plots and permits are looked up.
    layers : mapping of role to GeoDataFrame
        Lines, ``plots`` and the roles :data:`PLAIN`, in the city's CRS.
    missing : mapping of role to (Chinese, English)
        Why other layers are not there; roles in neither are said to be absent.
    ledger : Ledger
        Balances of the quota ledger.
    sources : DataFrame
        See :meth:`sources_of`.
    settings : Settings, optional
        Those of the package when not given.

    Notes
    -----
    :meth:`open` makes one from the city's catalogue.
    """

    def __init__(
        self,
        city: City,
        year: int,
        on_date: pd.Timestamp,
        layers: Mapping[str, gpd.GeoDataFrame],
        *,
        missing: Mapping[str, Words] | None = None,
        ledger: Ledger | None = None,
        sources: pd.DataFrame | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.city, self.year, self.on_date = city, int(year), on_date
        self.crs: pyproj.CRS = metric_crs(city.crs, where=city.name)
        self.settings = settings or read_settings()
        self.checks: list[LineCheck] = line_checks(self.settings, city.rule_packs, on_date)
        self.layers: dict[str, Layer] = {}
        self.lines: dict[str, LineLayer] = {}
        for role, frame in layers.items():
            if role in PLAIN:
                self.layers[role] = Layer(role, frame, KEYS.get(role, ""))
            else:
                self.lines[role] = line_layer(role, frame, on_date, KEYS.get(role, "line_id"))
        absent = say("missing.layer", why=("没有这一图层", "the city has no such layer"), holder="")
        self.missing: dict[str, Words] = dict(missing or {})
        for role in self.roles(self.checks):
            if role not in layers:
                self.missing.setdefault(role, absent)
        self.ledger = ledger or Ledger(None, self.year, ("没有台账", "there is none"))
        self.sources = sources if sources is not None else _no_sources()
        self._currency: Item | None = None

    @staticmethod
    def roles(checks: Sequence[LineCheck]) -> list[str]:
        """Roles that a review reads."""
        lines = [check.line for check in checks if check.side != "anywhere"]
        return list(dict.fromkeys([*PLAIN, "plots", "development_boundary", *lines]))

    @classmethod
    def open(
        cls, city: City | str, year: int | None = None, on_date: Any = None, *, data: Any = None
    ) -> Reviewer:
        """Open a city's plan for reviews: read and index every layer once.

        Parameters
        ----------
        city : City or str
            Profile, or its name or path.
        year : int, optional
            Year of the land survey and the ledger; the profile's latest when not given.
        on_date : date-like, optional
            Day for which lines and permits are looked up; the last day of the year when not given.
        data : CityData, optional
            Opened layers of the city.

        Raises
        ------
        ParameterError
            The profile has no such year.
        DataQualityError
            A layer has invalid polygons, so that no verdict could rest on it.
        """
        from workbench.catalog.data import CityData
        from workbench.core.city import load_city

        profile = load_city(city) if isinstance(city, str) else city
        wanted = profile.check_year(int(year) if year is not None else profile.latest_year)
        day = pd.Timestamp(on_date) if on_date is not None else pd.Timestamp(wanted, 12, 31)
        store = data or CityData(profile)
        own = profile.city.review_settings
        settings = read_settings(profile.path.parent / own if own else None)
        layers, missing = {}, {}
        roles = cls.roles(line_checks(settings, profile.rule_packs, day))
        for role in roles:
            at = wanted if role in DATED or store.years(role) else None
            if (reason := store.why_missing(role, at)) is not None:
                missing[role] = _why(store, profile, role, reason, at)
            elif role in ("districts", "units"):
                layers[role] = _zones(store, profile, role)
            else:
                layers[role] = store.vector(role, at)
        if "districts" not in layers:
            layers["districts"] = store.zones("city")
            missing.pop("districts", None)
        return cls(
            profile, wanted, day, layers, missing=missing, ledger=_ledger(profile, store, wanted),
            sources=sources_of(store, profile, [*layers], wanted, day, settings), settings=settings,
        )  # fmt: skip

    # --- reviews ------------------------------------------------------------------------------------------------------
    def review(
        self,
        geometry: Any,
        use: str | None = None,
        project: str | None = None,
        *,
        activity: str | None = None,
        far: float | None = None,
        height_m: float | None = None,
        name: str = "",
    ) -> Review:
        """Review one proposal.

        Parameters
        ----------
        geometry : Polygon or MultiPolygon
            In the city's CRS, metres.
        use : str, optional
            Survey class (``0601``), name of a class (``工业用地``) or planning class (``plan:1001``).
        project : str, optional
            Project code; its own permits and records then count as its own.
        activity : str, optional
            Activity on the ecological red line, ``HD01`` to ``HD10``, or ``HD00``.
        far, height_m : float, optional
            Floor area ratio and greatest height.
        name : str
            Name of the proposal.

        Raises
        ------
        DataQualityError
            The shape is empty, no polygon, or crosses itself so that its area is ambiguous.
        ParameterError
            Unknown use or activity.
        """
        shape, note, problem = clean_shape(geometry)
        if problem[0]:
            raise DataQualityError(
                problem[1], where=name or "proposal", hint="draw the polygon without crossings"
            )
        proposal = make_proposal(
            name, shape, use=use, project=project, activity=activity, far=far, height_m=height_m, note=note
        )
        return self.review_all([proposal])[0]

    def review_all(self, proposals: Sequence[Proposal], progress: Progress | None = None) -> list[Review]:
        """Reviews of some proposals, in their order; those without a usable shape are ``not_checked``."""
        found: list[Review] = []
        for start in range(0, len(proposals), BLOCK):
            part = list(proposals[start : start + BLOCK])
            good = [at for at, one in enumerate(part) if one.geometry is not None]
            done: list[Review | None] = [None] * len(part)
            for at, review in zip(good, self._measured([part[at] for at in good]), strict=True):
                done[at] = review
            found += [
                review if review is not None else self._refused(one)
                for review, one in zip(done, part, strict=True)
            ]
            if progress is not None:
                progress(min(start + BLOCK, len(proposals)), len(proposals))
        return found

    def batch(
        self, frame: gpd.GeoDataFrame | Iterable[Proposal], progress: Progress | None = None
    ) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
        """Review a table of proposals.

        Parameters
        ----------
        frame : GeoDataFrame or proposals
            Columns ``name, use, project, activity, far, height_m`` where known; see
            :func:`workbench.evaluation.review.proposals.from_frame`.
        progress : callable, optional
            Called with the number done and the number of all.

        Returns
        -------
        proposals : GeoDataFrame
            One row a proposal: ``name, use, project, verdict, conclusion_zh, conclusion_en, area_m2, area_mu, district,
            unit, conflicts, needs, not_checked, complies`` and its shape.
        items : GeoDataFrame
            One row a proposal and rule: ``proposal`` and the columns of :attr:`Review.items`.
        """
        from workbench.evaluation.review.proposals import from_frame

        if isinstance(frame, gpd.GeoDataFrame):
            proposals: Sequence[Proposal] = from_frame(frame, self.city)
        else:
            proposals = list(frame)
        return tables(self.review_all(proposals, progress), self.city)

    def _measured(self, proposals: Sequence[Proposal]) -> list[Review]:
        """Reviews of proposals that have a shape."""
        if not proposals:
            return []
        shapes = np.array([one.geometry for one in proposals], dtype=object)
        measure = Measure(shapes, self.lines, self.layers, str(self.city.crs))
        judge = LineJudge(
            self.settings, self.checks, measure, self.missing, self.layers.get("permits"), self.on_date
        )
        own = OwnChecks(
            self.settings, measure, self.missing, self.ledger, self.city, self.on_date, self.sources
        )
        judge.prepare(proposals)
        own.prepare(building=any(one.use.builds for one in proposals))
        measure.book.close()
        if self._currency is None:
            self._currency = own.currency()
        currency = self._currency
        return [self._review(k, one, judge, own, currency) for k, one in enumerate(proposals)]

    def _review(self, k: int, proposal: Proposal, judge: LineJudge, own: OwnChecks, currency: Item) -> Review:
        area = own._whole(k)
        location = own.location(k)
        place, outside = own.place(k)
        items = [self._note(proposal), location]
        if outside < area - 1e-3:
            items += [
                own.land_use(k, proposal), *judge.items(k, proposal), own.boundary_kind(k, proposal),
                planned_use(own, k, proposal), intensity(own, k, proposal), own.quota(k, proposal),
                own.permits(k, proposal), own.projects(k, proposal), currency,
            ]  # fmt: skip
        stated = [item for item in items if item is not None]
        return Review(
            proposal.name, self.city, self.year, self.on_date, proposal.geometry, area, proposal.use, proposal.project,
            proposal.activity, in_order(stated), place, own.land(k), planned_uses(own, k), self.sources, self,
        )  # fmt: skip

    def _note(self, proposal: Proposal) -> Item | None:
        """Item on what was done to the shape; None when nothing was."""
        if not proposal.note[0]:
            return None
        stated = self.settings.checks["rv_geometry"]
        return Item("rv_geometry", "", "complies", stated["zh"], stated["en"], *proposal.note)

    def _refused(self, proposal: Proposal) -> Review:
        """Review of a proposal whose shape cannot be judged."""
        stated = self.settings.checks["rv_geometry"]
        item = Item("rv_geometry", "", "not_checked", stated["zh"], stated["en"], *proposal.problem)
        return Review(proposal.name, self.city, self.year, self.on_date, None, float("nan"), proposal.use,
                      proposal.project, proposal.activity, (item,), sources=self.sources, reviewer=self)  # fmt: skip


def tables(reviews: Sequence[Review], city: Any) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Reviews as two tables; see :meth:`Reviewer.batch`."""
    heads, rows = [], []
    for review in reviews:
        heads.append(
            {
                "name": review.name, "use": review.use.dlbm, "use_zh": review.use.zh, "use_en": review.use.en,
                "project": review.project, "verdict": review.verdict, "conclusion_zh": review.conclusion("zh"),
                "conclusion_en": review.conclusion("en"), "area_m2": review.area_m2, "area_mu": review.mu,
                "district": review.place.get("district_name", ""), "unit": review.place.get("unit_name", ""),
                **{verdict: review.count(verdict) for verdict in ("conflicts", "needs", "not_checked", "complies")},
                "geometry": review.geometry,
            }
        )  # fmt: skip
        rows += [{"proposal": review.name, **item.row()} for item in review.judged]
    first = gpd.GeoDataFrame(pd.DataFrame(heads), geometry="geometry", crs=city.crs)
    return first, frame_of(rows, city.crs, before=["proposal"])


def _zones(store: Any, city: City, role: str) -> gpd.GeoDataFrame:
    """Zones as the profile's levels give them, so that other names of fields are understood."""
    level = next((name for name, one in city.levels.items() if one.role == role), None)
    found: gpd.GeoDataFrame = store.zones(level) if level is not None else store.vector(role)
    return found


def _why(store: Any, city: City, role: str, reason: str, year: int | None) -> Words:
    """Words on why a layer is not there and who usually holds it."""
    from workbench.catalog.data import reason_words

    zh, en = reason_words(reason, "zh"), reason_words(reason, "en")
    if reason == "no_year" and year is not None:
        zh, en = f"没有{year}年的数据", f"no data of {year}"
    if holder := store.holder(role):
        told = say("missing.holder", holder=(holder, city.say(holder, "en")))
        zh, en = zh + told[0], en + told[1]
    return zh, en


def _ledger(city: City, store: Any, year: int) -> Ledger:
    """Balances of the quota ledger: the published one, else closed now from the layers."""
    from workbench.catalog.data import reason_words
    from workbench.evaluation.ledger import ROLE, quota_ledger

    if store.has(ROLE, year):
        return Ledger(store.table(ROLE, year), year)
    try:
        return Ledger(quota_ledger(city, store, year).balances, year)
    except LayerMissing as error:
        why = (reason_words(error.reason, "zh"), reason_words(error.reason, "en"))
        return Ledger(None, year, (f"{error.role}：{why[0]}", f"{error.role}: {why[1]}"))
    except WorkbenchError as error:
        return Ledger(None, year, ("台账未能建立", str(error)))


SOURCE_COLUMNS = [
    "role",
    "name_zh",
    "name_en",
    "date",
    "update_cycle",
    "source",
    "holder",
    "sensitivity",
    "state",
]


def _no_sources() -> pd.DataFrame:
    return pd.DataFrame(columns=SOURCE_COLUMNS)


def sources_of(
    store: Any, city: City, roles: Sequence[str], year: int, on: pd.Timestamp, settings: Settings
) -> pd.DataFrame:
    """Layers with their dates: ``state`` is ``current``, ``old`` (past its update cycle on the day) or ``undated``."""
    names = _line_names(settings)
    rows = []
    for role in roles:
        at = year if store.years(role) else None
        if not store.has(role, at):
            continue
        source = store.source(role, at)
        zh, en = names.get(role, (role, role))
        day = pd.to_datetime(str(source.date or ""), errors="coerce")
        months = settings.currency.get(source.update_cycle or "")
        late = pd.notna(day) and months is not None and day + pd.DateOffset(months=months) < on
        rows.append([role, zh, en, source.date or "", source.update_cycle, source.source, source.holder,
                     source.sensitivity, "old" if late else "undated" if pd.isna(day) else "current"])  # fmt: skip
    return pd.DataFrame(rows, columns=SOURCE_COLUMNS)


ROLE_NAMES = {
    "districts": ("行政区", "districts"), "units": ("规划单元", "planning units"), "land_use": ("国土调查图斑", "land survey"),
    "permits": ("审批许可", "permits"), "projects": ("建设项目", "projects"), "plots": ("详细规划地块", "plots"),
    "nature_reserve": ("自然保护地", "nature reserves"), "heritage_line": ("历史文化保护线", "heritage line"),
}  # fmt: skip


def _line_names(settings: Settings) -> dict[str, Words]:
    checks = line_checks(settings, (), pd.Timestamp.today())
    found = {check.line: (check.name[0], check.name[1].removeprefix("the ")) for check in reversed(checks)}
    return {**found, **ROLE_NAMES}


def polygon_of(points: Sequence[tuple[float, float]]) -> Any:
    """Polygon of corners in the order given."""
    return shapely.Polygon(points)


def settings_path(city: City) -> Path | None:
    """File of a city's own settings; None when it uses the package's."""
    return city.path.parent / city.city.review_settings if city.city.review_settings else None
