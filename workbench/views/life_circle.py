"""Life circles in words and tables: coverage, circles, equity, further sites, findings, what is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import shapely

from workbench.evaluation.life_circle.settings import AGES, EVERYONE, Facility
from workbench.views.cells import cited, rounding_note, sure, table, value_cell
from workbench.views.html import Html, join
from workbench.views.numbers import num_of, records
from workbench.views.text import exempt, mark, paragraph, plain, t

if TYPE_CHECKING:
    from workbench.evaluation.life_circle import LifeCircle

Row = dict[str, Any]
Rows = dict[tuple[str, str], Row]
MOST_ZONES = 40
"""Zones a table shows at most."""
REQUIRED = "checkup"
"""The circle whose kinds count as required."""


def rows_of(life: LifeCircle) -> Rows:
    """Rows of the value table by name (without ``life_circle.``) and zone."""
    return {
        (str(row["indicator"]).removeprefix("life_circle."), str(row["zone"])): row
        for row in records(life.values)
    }


def required(life: LifeCircle) -> list[Facility]:
    """Facilities of the circle that the checkup counts, of those the city has; all where it has no such circle."""
    circle = next((one for one in life.settings.circles if one.id == REQUIRED), None)
    kinds = [kind for kind in life.kinds if circle is None or kind in circle.kinds]
    return [life.settings.facility(kind) for kind in kinds]


def weakest(life: LifeCircle, most: int = 2) -> list[str]:
    """Required kinds with the least coverage on foot within their own minutes, the least first."""
    rows = rows_of(life)
    found: dict[str, float] = {}
    for one in required(life):
        row = rows.get((f"share.{one.kind}.{one.minutes:g}.walk.{EVERYONE}", life.city.name))
        if row is not None and not pd.isna(row["value"]):
            found[one.kind] = float(row["value"])
    return sorted(found, key=lambda kind: (found[kind], kind))[:most]


def unit(life: LifeCircle, lang: str) -> str:
    """What is counted: people, or square metres of footprint."""
    return plain(f"life.unit_{life.basis}", lang)


def absent(life: LifeCircle, circle: str | None = None) -> list[Facility]:
    """Kinds that circles (one circle) require and the data lack."""
    rows = life.circles if circle is None else life.circles[life.circles["circle"] == circle]
    kinds = {kind for text in rows["absent"].unique() for kind in str(text).split()}
    return [one for one in life.settings.facilities if one.kind in kinds]


def _names(kinds: list[Facility], lang: str) -> str:
    return ("、" if lang == "zh" else ", ").join(one.title(lang) for one in kinds)


def _scope(life: LifeCircle, lang: str) -> str:
    """Name of the range people are counted in."""
    name = life.settings.parameters.scope
    limited = bool(name) and "no_scope" not in set(life.findings["check"])
    return name if limited else plain("life.everywhere", lang)


def summary(life: LifeCircle, lang: str) -> Html:
    """What an official reads first: the complete circle, the weakest kind, the gap, the site that helps most."""
    rows, city = rows_of(life), life.city.name
    parts: list[Html] = []
    people = rows.get((f"people.{EVERYONE}", city))
    for circle in [one for one in life.settings.circles if one.id == REQUIRED]:
        row = rows[f"circle.{circle.id}.walk.{EVERYONE}", city]
        if people is not None:
            counted = Html(f"{t(f'life.basis_{life.basis}', lang)}{num_of(people, lang=lang, unit=True)}")
            parts.append(
                t("life.summary_circle", lang, scope=_scope(life, lang), people=counted, circle=circle.title(lang),
                  share=num_of(row, lang=lang, unit=True))
            )  # fmt: skip
        if missing := absent(life, circle.id):
            parts.append(t("life.summary_bound", lang, kinds=_names(missing, lang)))
    for kind in weakest(life, 1):
        one = life.settings.facility(kind)
        name = f"{kind}.{one.minutes:g}.walk.{EVERYONE}"
        shown = {what: num_of(rows[f"{what}.{name}", city], lang=lang, unit=what != "gap") for what in
                 ("share", "straight", "gap")}  # fmt: skip
        parts.append(
            t("life.summary_weakest", lang, kind=one.title(lang), minutes=exempt(f"{one.minutes:g}"), **shown)
        )
        if rounding_note([_gap(rows, name, city)], lang):
            parts.append(t("life.summary_rounding", lang))
    if len(life.next_sites) and (best := _best_site(life)) is not None:
        gain = num_of(rows[f"site_gain.{best}.1", city], lang=lang, unit=True)
        parts.append(t("life.summary_site", lang, kind=life.settings.facility(best).title(lang), gain=gain))
    text = [Html(f"<p>{join(parts, '' if lang == 'zh' else ' ')}</p>")]
    if life.basis == "buildings":
        text.append(paragraph("life.note.proxy", lang))
    return join(text)


def _gap(rows: Rows, name: str, zone: str) -> tuple[Row | None, tuple[Row | None, Row | None]]:
    """Straight-line share, and what makes it up: the share on the network and the gap."""
    straight, share, gap = (rows.get((f"{what}.{name}", zone)) for what in ("straight", "share", "gap"))
    return straight, (share, gap)


def _best_site(life: LifeCircle) -> str | None:
    """Kind of which one more facility brings the most people within reach; required kinds only."""
    kinds = [one.kind for one in required(life)]
    first = life.next_sites[(life.next_sites["rank"] == 1) & life.next_sites["kind"].isin(kinds)]
    return str(first["kind"].iloc[int(first["gain"].argmax())]) if len(first) else None


def coverage_table(life: LifeCircle, lang: str) -> Html:
    """Coverage of each kind: 5, 10, 15 minutes on foot; the own level on foot, as the crow flies, by bicycle."""
    rows, city = rows_of(life), life.city.name
    minutes = life.settings.parameters.minutes
    headers: list[tuple[object, str]] = [
        (t("life.column.kind", lang), "row"),
        (t("life.column.own", lang), "number"),
    ]
    headers += [(t("life.column.minutes", lang, minutes=exempt(f"{one:g}")), "number") for one in minutes]
    headers += [
        (t(f"life.column.{name}", lang), "number")
        for name in ("own_walk", "straight", "gap", "radius", "cycle")
    ]
    lines: list[list[object]] = []
    for one in life.settings.facilities:
        own = f"{one.kind}.{one.minutes:g}"
        names = [f"share.{one.kind}.{m:g}.walk.{EVERYONE}" for m in minutes]
        names += [f"{what}.{own}.walk.{EVERYONE}" for what in ("share", "straight", "gap", "radius")]
        names += [f"share.{own}.cycle.{EVERYONE}"]
        if all(pd.isna(rows[name, city]["value"]) for name in names):
            continue  # what the data lack stands among the findings
        lines.append(
            [
                one.title(lang),
                exempt(f"{one.minutes:g}"),
                *(value_cell(rows.get((n, city)), lang) for n in names),
            ]
        )
    note = t(
        "life.note.coverage", lang, walk=exempt(f"{life.city.walking_m_per_min:g}"),
        cycle=exempt(f"{life.settings.parameters.cycling_m_per_min:g}"),
    )  # fmt: skip
    compared = [
        _gap(rows, f"{one.kind}.{one.minutes:g}.walk.{EVERYONE}", city) for one in life.settings.facilities
    ]
    if rounded := rounding_note(compared, lang):
        note = Html(note + Html("<br>") + rounded)
    caption = t("life.caption.coverage", lang, basis=plain(f"life.basis_{life.basis}", lang))
    return table(headers, lines, caption=caption, lang=lang, css="life-circle", note=note)


def kind_reading(life: LifeCircle, lang: str, kind: str) -> Html:
    """What the map of a kind says: coverage of the city, the best and the least covered zone, what a further site brings."""
    rows, one = rows_of(life), life.settings.facility(kind)
    name = f"share.{kind}.{one.minutes:g}.walk.{EVERYONE}"
    whole = num_of(rows[name, life.city.name], lang=lang, unit=True)
    parts = [
        t(
            "life.read.share",
            lang,
            kind=mark(one.title(lang)),
            minutes=exempt(f"{one.minutes:g}"),
            share=whole,
        )
    ]
    zones = [
        (title, rows[name, code])
        for code, title in _zones(life, lang)
        if code != life.city.name and (name, code) in rows
    ]
    zones = sorted(
        (pair for pair in zones if not pd.isna(pair[1]["value"])), key=lambda pair: -float(pair[1]["value"])
    )
    if len(zones) > 1:
        ends = {"best": zones[0], "worst": zones[-1]}
        words = {key: mark(title) for key, (title, _) in ends.items()}
        words |= {f"{key}_share": num_of(row, lang=lang, unit=True) for key, (_, row) in ends.items()}
        parts.append(t("life.read.zones", lang, **words))
    if gain := rows.get((f"site_gain.{kind}.1", life.city.name)):
        after = num_of(rows[f"site_after.{kind}.1", life.city.name], lang=lang, unit=True)
        parts.append(t("life.read.site", lang, gain=num_of(gain, lang=lang, unit=True), after=after))
    return Html(f"<p>{join(parts, '' if lang == 'zh' else ' ')}</p>")


def has_ages(life: LifeCircle) -> bool:
    """Whether the people are known by age group."""
    return bool(life.coverage.loc[life.coverage["age"] != EVERYONE, "people"].notna().any())


def age_table(life: LifeCircle, lang: str) -> Html:
    """Coverage of each age group at the own level on foot; whom a kind serves stands beside it."""
    rows, city = rows_of(life), life.city.name
    ages = (EVERYONE, *AGES)
    headers: list[tuple[object, str]] = [
        (t("life.column.kind", lang), "row"),
        (t("life.column.own", lang), "number"),
    ]
    headers += [
        (t("life.column.serves", lang), "short"),
        *((t(f"life.age.{age}", lang), "number") for age in ages),
    ]
    lines: list[list[object]] = []
    for one in [life.settings.facility(kind) for kind in life.kinds]:
        cells = [rows.get((f"share.{one.kind}.{one.minutes:g}.walk.{age}", city)) for age in ages]
        lines.append(
            [one.title(lang), exempt(f"{one.minutes:g}"), plain(f"life.age.{one.ages}", lang),
             *(value_cell(cell, lang) for cell in cells)]
        )  # fmt: skip
    return table(headers, lines, caption=t("life.caption.ages", lang), lang=lang, css="life-circle")


def _zones(life: LifeCircle, lang: str) -> list[tuple[str, str]]:
    """Code and name of the city and of its zones of the first level."""
    shown = life.circles.drop_duplicates(["level", "zone"])
    below = shown.loc[shown["level"] != "city", "level"]
    wanted = shown[shown["level"].isin(["city", *below.head(1)])].head(MOST_ZONES + 1)
    name = "zone_name_en" if lang == "en" else "zone_name"
    return [(str(code), str(text)) for code, text in zip(wanted["zone"], wanted[name], strict=True)]


def circle_table(life: LifeCircle, lang: str) -> Html:
    """Complete circles by zone; an upper bound is marked ≤."""
    rows = rows_of(life)
    headers: list[tuple[object, str]] = [
        (t("life.column.zone", lang), "row"),
        (t(f"life.column.people_{life.basis}", lang), "number"),
    ]
    headers += [(mark(one.title(lang)), "number") for one in life.settings.circles]
    bound = {one.id: bool(absent(life, one.id)) for one in life.settings.circles}
    lines: list[list[object]] = []
    for code, name in _zones(life, lang):
        cells: list[object] = [mark(name), value_cell(rows.get((f"people.{EVERYONE}", code)), lang)]
        for one in life.settings.circles:
            row = rows.get((f"circle.{one.id}.walk.{EVERYONE}", code))
            known = row is not None and not pd.isna(row["value"])
            cells.append(Html(("≤" if bound[one.id] and known else "") + value_cell(row, lang)))
        lines.append(cells)
    missing = absent(life)
    note = (
        t("life.note.circles", lang, kinds=_names(missing, lang))
        if missing
        else t("life.note.circles_whole", lang)
    )
    return table(
        headers,
        lines,
        caption=t("life.caption.circles", lang, basis=plain(f"life.basis_{life.basis}", lang)),
        lang=lang,
        css="life-circle",
        note=note,
    )


def zone_table(life: LifeCircle, lang: str) -> Html:
    """Coverage of the required kinds by zone, own level on foot."""
    rows, kinds = rows_of(life), required(life)
    headers: list[tuple[object, str]] = [(t("life.column.zone", lang), "row")]
    headers += [(mark(one.title(lang)), "number") for one in kinds]
    lines: list[list[object]] = [
        [mark(name), *(value_cell(rows.get((f"share.{one.kind}.{one.minutes:g}.walk.{EVERYONE}", code)), lang) for one in kinds)]
        for code, name in _zones(life, lang)
    ]  # fmt: skip
    return table(headers, lines, caption=t("life.caption.zones", lang), lang=lang, css="life-circle")


def equity_table(life: LifeCircle, lang: str) -> Html:
    """Supply per 1,000 of those served, who has none, Gini, and Theil between and inside zones."""
    rows, city = rows_of(life), life.city.name
    names = ("mean", "none_share", "gini", "theil", "theil_between", "theil_within")
    headers: list[tuple[object, str]] = [(t("life.column.kind", lang), "row")]
    headers += [(t(f"life.column.{name}", lang), "short") for name in ("serves", "amount")]
    titles = [f"mean_{life.basis}", *names[1:]]
    headers += [(t(f"life.column.{name}", lang), "number") for name in titles]
    lines: list[list[object]] = []
    for row in records(life.equity):
        one = life.settings.facility(str(row["kind"]))
        if one.kind not in life.kinds:
            continue
        counted = (
            one.amount(lang) if row["basis"] == "capacity" else ("处数" if lang == "zh" else "facilities")
        )
        cells = [value_cell(rows.get((f"{name}.{one.kind}", city)), lang) for name in names]
        lines.append([one.title(lang), plain(f"life.age.{row['age']}", lang), counted, *cells])
    method = plain(f"life.method.{life.settings.parameters.supply}", lang)
    return table(
        headers, lines, caption=t("life.caption.equity", lang, method=method), lang=lang, css="life-circle",
        note=t("life.note.equity", lang),
    )  # fmt: skip


def site_table(life: LifeCircle, lang: str, *, kinds: list[str] | None = None) -> Html:
    """Further sites of the required kinds (or of some): what each brings, and where it lies."""
    rows, city = rows_of(life), life.city.name
    wanted = kinds if kinds is not None else [one.kind for one in required(life)]
    sites = life.next_sites[life.next_sites["kind"].isin(wanted)].reset_index(drop=True)
    headers: list[tuple[object, str]] = [
        (t("life.column.kind", lang), "row"),
        (t("life.column.serves", lang), "short"),
    ]
    headers += [(t("life.column.rank", lang), "number"), (t("life.column.place", lang), "")]
    headers += [(t(f"life.column.{name}", lang), "number") for name in ("gain", "before", "after")]
    where = _where(life, sites.geometry, lang) if len(sites) else []
    lines: list[list[object]] = []
    for place, row in zip(where, records(sites), strict=True):
        name = f"{row['kind']}.{row['rank']}"
        cells = [
            value_cell(rows.get((f"site_{what}.{name}", city)), lang, unit=True)
            for what in ("gain", "before", "after")
        ]
        title = life.settings.facility(str(row["kind"])).title(lang)
        lines.append([title, plain(f"life.age.{row['age']}", lang), exempt(row["rank"]), mark(place), *cells])
    note = t("life.note.sites", lang, candidates=exempt(life.settings.parameters.candidates))
    return table(
        headers, lines, caption=t("life.caption.sites", lang), lang=lang, css="life-circle", note=note
    )


def _where(life: LifeCircle, points: Any, lang: str) -> list[str]:
    """Zone and coordinates of each point."""
    level = next(iter(life.city.levels), "")
    names: list[str] = [""] * len(points)
    if level:
        zones = life.data.zones(level)
        of, which = shapely.STRtree(points.to_numpy()).query(
            zones.geometry.to_numpy(), predicate="intersects"
        )
        english = {code: text for code, text in _zones(life, lang)}
        for zone, point in zip(of[::-1], which[::-1], strict=True):
            names[point] = english.get(str(zones["code"].iloc[zone]), str(zones["name"].iloc[zone]))
    return [
        f"{name} ({point.x:.0f}, {point.y:.0f})".strip() for name, point in zip(names, points, strict=True)
    ]


def gravest(findings: pd.DataFrame) -> pd.DataFrame:
    """One finding of each sort and kind, the one furthest off, in the order in which the sorts come."""
    first = findings.reset_index(drop=True)
    worst = first.sort_values("metres", ascending=False, kind="stable").drop_duplicates(["check", "kind"])
    order = first.drop_duplicates(["check", "kind"])[["check", "kind"]]
    return order.merge(worst, on=["check", "kind"], how="left", validate="one_to_one")


def finding_table(life: LifeCircle, lang: str) -> Html:
    """Findings by sort: how many, and what the gravest says."""
    rows, city = rows_of(life), life.city.name
    headers: list[tuple[object, str]] = [
        (t("life.column.check", lang), "row"),
        (t("life.column.kind", lang), "short"),
    ]
    headers += [(t("life.column.count", lang), "number"), (t("life.column.example", lang), "")]
    lines: list[list[object]] = []
    found = pd.DataFrame(life.findings.drop(columns="geometry"))
    for worst in records(gravest(found)):
        check, kind = worst["check"], worst["kind"]
        title = life.settings.facility(str(kind)).title(lang) if kind else ""
        lines.append(
            [plain(f"life.check.{check}", lang), title, value_cell(rows.get((f"findings.{check}.{kind or 'all'}", city)), lang),
             mark(worst[f"message_{lang}"])]
        )  # fmt: skip
    return table(headers, lines, caption=t("life.caption.findings", lang), lang=lang, css="life-circle")


def settings_table(life: LifeCircle, lang: str) -> Html:
    """What is judged: kinds with their level, radius and source, and what each circle requires."""
    headers: list[tuple[object, str]] = [(t("life.column.kind", lang), "row")]
    headers += [(t(f"life.column.{name}", lang), "number") for name in ("own", "metres")]
    headers += [(t("life.column.serves", lang), "short"), (t("life.column.source", lang), "")]
    headers += [(t("life.column.confidence", lang), "")]
    lines: list[list[object]] = [
        [one.title(lang), exempt(f"{one.minutes:g}"), exempt(f"{one.metres:g}"), plain(f"life.age.{one.ages}", lang),
         cited(one.source, lang), sure(one.confidence, lang)]
        for one in life.settings.facilities
    ]  # fmt: skip
    for circle in life.settings.circles:
        kinds = _names([life.settings.facility(kind) for kind in circle.kinds], lang)
        own = exempt(f"{circle.minutes:g}") if circle.minutes else ""
        lines.append(
            [
                mark(circle.title(lang)),
                own,
                "",
                mark(kinds),
                cited(circle.source, lang),
                sure(circle.confidence, lang),
            ]
        )
    return table(headers, lines, caption=t("life.caption.settings", lang), lang=lang, css="life-circle")
