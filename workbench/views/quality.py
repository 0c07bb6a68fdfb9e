"""The data quality check as a reader sees it: conclusions by layer, findings by check with their places, and a map."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from workbench.evaluation.quality import quality_rows
from workbench.governance.inspection import checks_of
from workbench.governance.packs import Check, load_packs
from workbench.indicators.values import table as table_of
from workbench.views.cartography import (
    border_words,
    city_name,
    district_borders,
    districts,
    furnish,
    label_point,
    line_key,
    names,
    sheet,
    sources_note,
)
from workbench.views.cells import role_label, table
from workbench.views.figure import Figure, render
from workbench.views.html import Html, element
from workbench.views.numbers import find, num_of
from workbench.views.openness import review_line, sensitivity_of
from workbench.views.text import exempt, mark, paragraph, plain, t

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes

    from workbench.governance import QualityReport

CHIP = {"passed": "level-0", "warned": "level-1", "failed": "level-3", "blocked": "level-4"}
"""Class of the chip of a conclusion."""
COLOURS = (
    "#c62828",
    "#1565c0",
    "#ef6c00",
    "#6a1b9a",
    "#2e7d32",
    "#00838f",
    "#ad1457",
    "#5d4037",
    "#37474f",
    "#9e9d24",
)
"""Colours of checks on the map, in the order of their numbers of findings."""
MOST_EACH = 8
"""Findings of a check that are listed; all are in the file."""
INSETS = 4
_ROOM = 1.75


@dataclass
class QualityView:
    """A quality check with the layers it looked at, for tables, maps and the sheet."""

    report: QualityReport
    """What was found."""
    year: int
    """Year of the checkup."""
    values: pd.DataFrame = field(default_factory=lambda: table_of([]))
    """Value table; its ``quality.*`` rows make numbers traceable."""
    findings: Any = None
    """Not used; a view of a checkup has them."""
    definitions: dict[str, Any] = field(default_factory=dict)
    """Not used; a view of a checkup has them."""

    @property
    def city(self) -> Any:
        """City profile."""
        return self.report.city

    @cached_property
    def data(self) -> Any:
        """The city's layers, those behind closed gates as well."""
        from workbench.catalog.data import CityData

        return CityData(self.report.city, gated=False)

    @cached_property
    def checks(self) -> dict[str, Check]:
        """Checks by name."""
        return checks_of()

    @cached_property
    def zones(self) -> gpd.GeoDataFrame:
        """Districts, or the city where there are none."""
        return districts(self)

    def number(self, name: str, zone: str, value: int, lang: str) -> Html:
        """A count as the value table has it; as it is where there is no table."""
        row = find(self, name, level="report", zone=zone, year=self.year) if len(self.values) else None
        return num_of(row, lang=lang) if row is not None else exempt(f"{value:,}")

    def title(self, role: str, year: object, lang: str) -> str:
        """Name of a layer with its year."""
        name = role_label(role, lang)
        return name if pd.isna(year) else f"{name} {int(year)}"  # type: ignore[call-overload]

    def place(self, shape: Any, lang: str) -> str:
        """District and coordinates of a finding in words."""
        if shape is None or shapely.is_empty(shape):
            return plain("quality_check.territory", lang)
        x, y = (
            label_point(shape) if shapely.get_dimensions(shape) == 2 else (shape.centroid.x, shape.centroid.y)
        )
        inside = shapely.contains_xy(self.zones.geometry.to_numpy(), x, y)
        if not inside.any():
            return plain("quality_check.territory", lang)
        row = self.zones[inside].iloc[0]
        name = row["name_en"] if lang == "en" and isinstance(row.get("name_en"), str) else row["name"]
        return plain("quality_check.at", lang, name=name, x=f"{x:.0f}", y=f"{y:.0f}")


def view_of(report: QualityReport, year: int, checkup: Any = None) -> QualityView:
    """A quality check as the views need it, with the value table of a run where there is one."""
    return QualityView(report, year) if checkup is None else QualityView(report, year, checkup.values)


def counts(report: QualityReport) -> dict[str, int]:
    """Numbers of the summary: layers, checks, good, bad, blocked, errors, warnings."""
    names = ("layers", "checks", "good", "bad", "blocked", "errors", "warnings")
    rows = {str(row["indicator"]).removeprefix("quality."): row for row in quality_rows(report, 0)}
    return {name: int(rows[name]["value"]) for name in names}


def lead(view: QualityView, lang: str) -> Html:
    """Sentence: how many layers were checked and passed, which are blocked."""
    told = {name: view.number(f"quality.{name}", "all", n, lang) for name, n in counts(view.report).items()}
    return paragraph("quality_check.lead", lang, **told) + _blocked(view, lang)


def _blocked(view: QualityView, lang: str) -> Html:
    if not view.report.blocked:
        return paragraph("quality_check.none_blocked", lang)
    between = "、" if lang == "zh" else ", "
    listed = between.join(view.title(role, year, lang) for role, year in view.report.blocked)
    return paragraph("quality_check.blocked_lead", lang, names=listed)


def why_blocked(view: QualityView, role: str, year: object, lang: str) -> str:
    """Checks that closed the gate of a layer; empty when it is open."""
    gates = view.report.gates
    same = gates["year"].isna() if pd.isna(year) else gates["year"].eq(int(year))  # type: ignore[call-overload]
    rows = gates[(gates["role"] == role) & same & (gates["state"] == "blocked")]
    return ("；" if lang == "zh" else "; ").join(rows[f"reason_{lang}"])


def layer_table(view: QualityView, lang: str) -> Html:
    """Each layer with its conclusion, the gravest first."""
    headers: list[tuple[object, str]] = [(t("quality_column.layer", lang), "row")]
    headers += [(t(f"quality_column.{name}", lang), "number") for name in ("checks", "errors", "warnings")]
    headers += [(t("quality_column.conclusion", lang), "short"), (t("quality_column.why", lang), "")]
    rows = []
    for row in graded(view.report).to_dict("records"):
        zone = row["role"] if pd.isna(row["year"]) else f"{row['role']}-{int(row['year'])}"
        numbers = [
            view.number(f"quality.layer_{name}", zone, int(row[name]), lang)
            for name in ("checks", "errors", "warnings")
        ]
        state = row["state"]
        chip = element("span", plain(f"quality_state.{state}", lang), css=f"chip {CHIP[state]}")
        why = mark(why_blocked(view, row["role"], row["year"], lang))
        rows.append([mark(view.title(row["role"], row["year"], lang)), *numbers, chip, why])
    caption = t("quality_check.caption_layers", lang)
    return table(headers, rows, caption=caption, lang=lang, note=t("quality_check.note", lang))


def graded(report: QualityReport) -> pd.DataFrame:
    """Conclusions by layer, the gravest first, else in the order of the profile."""
    order = {"blocked": 0, "failed": 1, "warned": 2, "passed": 3}
    rank = report.layers["state"].map(order)
    return report.layers.assign(rank=rank).sort_values("rank", kind="stable").drop(columns="rank")


def by_check(view: QualityView, lang: str) -> pd.DataFrame:
    """One row a check: pack, title, layers looked at, findings, layers concerned."""
    found, gates, rows = view.report.findings, view.report.gates, []
    for pack in load_packs().values():
        for check in pack.checks:
            part = found[found["check"] == check.id]
            places = part[["role", "year"]].drop_duplicates().itertuples(index=False)
            rows.append(
                {
                    "pack": getattr(pack, f"title_{lang}"), "check": check.id, "title": getattr(check, f"title_{lang}"),
                    "looked": int((gates["check"] == check.id).sum()), "findings": len(part),
                    "severity": plain(f"quality_severity.{check.severity}", lang),
                    "concerned": ("、" if lang == "zh" else ", ").join(view.title(r, y, lang) for r, y in places),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def check_table(view: QualityView, lang: str) -> Html:
    """Checks by pack with the number of layers looked at and of findings."""
    headers: list[tuple[object, str]] = [
        (t("quality_column.check", lang), "row"), (t("quality_column.severity", lang), "short"),
        (t("quality_column.looked", lang), "number"), (t("quality_column.findings", lang), "number"),
        (t("quality_column.concerned", lang), ""),
    ]  # fmt: skip
    rows: list[list[object]] = []
    for pack, part in by_check(view, lang).groupby("pack", sort=False):
        rows.append([str(pack)])
        for row in part.to_dict("records"):
            numbers = [
                view.number(f"quality.check_{name}", row["check"], row[name], lang)
                for name in ("looked", "findings")
            ]
            rows.append([row["title"], row["severity"], *numbers, mark(row["concerned"])])
    return table(headers, rows, caption=t("quality_check.caption_checks", lang), lang=lang)


def listed(view: QualityView, lang: str, most: int = MOST_EACH) -> pd.DataFrame:
    """Findings of a list, the first of each check: title, layer, feature, message, severity, place."""
    found = view.report.findings.groupby("check", sort=False).head(most)
    return pd.DataFrame(
        {
            "check": [getattr(view.checks[name], f"title_{lang}") for name in found["check"]],
            "severity": [plain(f"quality_severity.{name}", lang) for name in found["severity"]],
            "layer": [view.title(r, y, lang) for r, y in zip(found["role"], found["year"], strict=True)],
            "message": found[f"message_{lang}"].to_numpy(),
            "place": [
                plain("quality_check.territory", lang) if feature == "*" else view.place(shape, lang)
                for feature, shape in zip(found["feature"], found["geometry"], strict=True)
            ],
        },
        columns=["check", "severity", "layer", "message", "place"],
    )


def finding_table(view: QualityView, lang: str, most: int = MOST_EACH) -> Html:
    """What was found, with its place; the first of each check."""
    shown = listed(view, lang, most)
    if shown.empty:
        return paragraph("quality_check.clean", lang)
    columns = ("layer", "severity", "message", "place")
    headers: list[tuple[object, str]] = [(t(f"quality_column.{name}", lang), "") for name in columns]
    rows: list[list[object]] = []
    for check, part in shown.groupby("check", sort=False):
        rows.append([str(check)])
        rows += [[mark(row[name]) for name in columns] for row in part.to_dict("records")]
    all_ = view.number("quality.findings", "all", len(view.report.findings), lang)
    note = t("quality_check.more", lang, shown=exempt(most), all=all_)
    return table(headers, rows, caption=t("quality_check.caption_findings", lang), lang=lang, note=note)


def limit_words(check: Check, lang: str) -> str:
    """When a check closes the gate."""
    if not check.gate:
        return plain("quality_limit.none", lang)
    if not check.gate_share:
        return plain("quality_limit.any", lang)
    return plain("quality_limit.share", lang, share=f"{100 * check.gate_share:g}")


def pack_columns(lang: str) -> tuple[str, ...]:
    """Columns of the appendix; how sure a check is, the packs say in English."""
    shown = ("check", "severity", "clause", "limit")
    return shown if lang == "zh" else (*shown, "confidence")


def pack_cells(check: Check, lang: str) -> list[str]:
    """Cells of a check in the appendix."""
    cells = {
        "check": getattr(check, f"title_{lang}"), "severity": plain(f"quality_severity.{check.severity}", lang),
        "clause": check.clause, "limit": limit_words(check, lang), "confidence": check.confidence,
    }  # fmt: skip
    return [cells[name] for name in pack_columns(lang)]


def pack_table(view: QualityView, lang: str) -> Html:
    """Appendix: every check with its clause and when it closes the gate."""
    headers: list[tuple[object, str]] = [
        (t(f"quality_column.{name}", lang), "") for name in pack_columns(lang)
    ]
    rows: list[list[object]] = []
    for pack in load_packs().values():
        rows.append([getattr(pack, f"title_{lang}")])
        rows += [[mark(cell) for cell in pack_cells(check, lang)] for check in pack.checks]
    return table(headers, rows, caption=t("quality_check.caption_packs", lang), lang=lang)


def findings_map(view: QualityView, lang: str) -> Figure | None:
    """Findings as dots by check, with some of them enlarged below; None when none has a place."""
    found = view.report.findings
    drawn = found[found.geometry.notna() & (found["feature"] != "*")]
    if drawn.empty:
        return None
    shown = _examples(drawn)
    room = _ROOM if len(shown) else 0.0
    place = city_name(view, lang)
    figure, axes, panel = sheet(
        view.zones.total_bounds, plain("quality_check.map_title", lang, city=place), below=room
    )
    view.zones.plot(ax=axes, facecolor="#ffffff", edgecolor="none", aspect=None, zorder=0)
    entries: list[tuple[Any, str]] = [(district_borders(axes, view.zones), border_words(view, lang))]
    names(axes, view.zones, lang)
    colours = dict(zip(drawn["check"].value_counts().index, COLOURS * 3, strict=False))
    for check, part in drawn.groupby("check", sort=False):
        points = shapely.get_coordinates(shapely.point_on_surface(part.geometry.to_numpy()))
        look: dict[str, Any] = {
            "color": colours[check], "marker": "o", "linestyle": "", "markersize": 6.5, "markeredgecolor": "white",
        }  # fmt: skip
        axes.plot(points[:, 0], points[:, 1], zorder=22, **look)
        entries.append((line_key(**look), f"{getattr(view.checks[check], f'title_{lang}')} {len(part)}"))
    notes = sources_note(view, [("districts", None)], lang)
    whole = int((found["feature"] == "*").sum())
    if whole:
        notes = [plain("quality_check.whole_layer", lang, count=whole), *notes]
    furnish(panel, axes, entries, notes, lang)
    for at, (_, row) in enumerate(shown.iterrows()):
        width = 1 / INSETS
        box = (0.012 + at * width, 0.02, width - 0.024, (room - 0.3) / figure.get_size_inches()[1])
        _inset(figure.add_axes(box), view, row, colours[row["check"]], lang)
    return render(
        figure, alt=plain("quality_check.map_alt", lang, city=place),
        caption=t("quality_check.map_title", lang, city=place), colours=256, sensitivity=sensitivity_of(view, dict.fromkeys(drawn["role"])),
        review=review_line(view, lang),
    )  # fmt: skip


def _examples(drawn: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Findings to enlarge: the largest of the checks of shapes, then of the others, polygons only."""
    polygons = drawn[shapely.get_dimensions(drawn.geometry.to_numpy()) == 2]
    shapes_first = (polygons["pack"] != "topology").astype(int)
    order = np.lexsort((-polygons.geometry.area, shapes_first))
    return polygons.iloc[order].drop_duplicates("check").head(INSETS)


def _inset(axes: Axes, view: QualityView, row: pd.Series, colour: str, lang: str) -> None:
    """One finding between the outlines of its layer."""
    x0, y0, x1, y1 = row.geometry.bounds
    half = max(x1 - x0, y1 - y0, 20.0) * 0.8
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    box = axes.get_position()
    whole = axes.get_figure(root=True)
    assert whole is not None
    size = whole.get_size_inches()
    ratio = (box.width * size[0]) / (box.height * size[1])
    year = None if pd.isna(row["year"]) else int(row["year"])
    layer = view.data.vector(row["role"], year)
    layer.cx[x - half * ratio : x + half * ratio, y - half : y + half].plot(
        ax=axes, facecolor="#f3efe4", edgecolor="#6b7280", linewidth=0.7, aspect=None
    )
    part = view.report.findings.loc[[row.name]]
    part.plot(ax=axes, facecolor=colour, edgecolor=colour, alpha=0.75, linewidth=1.2, aspect=None, zorder=5)
    axes.set(xlim=(x - half * ratio, x + half * ratio), ylim=(y - half, y + half), xticks=[], yticks=[])
    axes.set(xlabel="", ylabel="")  # geopandas names the axes of a projected CRS
    axes.set_title(getattr(view.checks[row["check"]], f"title_{lang}"), fontsize=8.6, pad=3)
    axes.set_facecolor("#ffffff")
