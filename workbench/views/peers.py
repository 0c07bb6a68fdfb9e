"""Districts that stand apart from the others, an indicator a row; and how many indicators that is in each district."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.views.cells import indicator_name, table, value_cell
from workbench.views.html import Html
from workbench.views.numbers import find, num_of, records
from workbench.views.openness import guarded
from workbench.views.rows import DIMENSIONS, definition_of, district_names
from workbench.views.text import dimension_label, mark, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.views.source import CheckupView


def apart(checkup: CheckupView) -> pd.DataFrame:
    """Findings on districts whose value lies outside the band of the others."""
    findings = checkup.findings
    if findings is None or len(findings) == 0:
        return pd.DataFrame()
    keep = (
        (findings["kind"] == "peer_band") & (findings["level"] > 0) & (findings["zone_level"] == "district")
    )
    return pd.DataFrame(findings[keep].drop(columns="geometry", errors="ignore"))


def _between(lang: str) -> str:
    return "、" if lang == "zh" else ", "


def _named(
    rows: Sequence[Mapping[str, Any]],
    by_id: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    lang: str,
) -> Html:
    """Districts with their values, the furthest first."""
    bracket = ("（", "）") if lang == "zh" else (" (", ")")
    shown = [
        Html(
            f"{mark(names.get(str(row['zone']), row['zone_name']))}{bracket[0]}{num_of(value, lang=lang)}{bracket[1]}"
        )
        for row in sorted(rows, key=lambda row: float(row["margin"]))
        if (value := by_id.get(str(row["value_id"]))) is not None
    ]
    return Html(_between(lang).join(shown))


def peer_lead(checkup: CheckupView, lang: str) -> Html | None:
    """Sentences: on how many indicators districts stand apart, and on how many each does; None where none does."""
    whole = find(checkup, "report.peers", level="report", zone="all", year=checkup.year)
    if whole is None or whole["value"] == 0:
        return None
    values = checkup.values
    rows = values[
        (values["indicator"] == "report.peers") & (values["year"] == checkup.year) & (values["zone"] != "all")
    ]
    names = district_names(checkup, lang)
    listed = [
        t(
            "peers.district",
            lang,
            name=mark(names.get(str(row["zone"]), row["zone_name"])),
            count=num_of(row, lang=lang),
        )
        for row in records(rows.sort_values(["value", "zone"], ascending=[False, True]))
    ]
    districts = Html(_between(lang).join(listed))
    told = t("peers.lead", lang, all=num_of(whole, lang=lang), districts=districts)
    return guarded("p", told, str(whole["sensitivity"]))


def peer_table(checkup: CheckupView, lang: str) -> Html | None:
    """Indicators on which districts stand apart: value of the city, and the districts above and below; None without any."""
    found = apart(checkup)
    if found.empty:
        return None
    names = district_names(checkup, lang)
    by_id = {
        str(row["value_id"]): row for row in records(checkup.values[checkup.values["level"] == "district"])
    }
    headers: list[tuple[object, str]] = [
        (t("column.indicator", lang), "row"),
        (t("column.unit", lang), "short"),
    ]
    headers += [(plain("common.city", lang), "number")]
    headers += [(t("peers.above", lang), ""), (t("peers.below", lang), "")]
    rank = {name: at for at, name in enumerate(DIMENSIONS)}
    groups = [
        (str(getattr(definition_of(checkup, str(name)), "dimension", "")), str(name), records(part))
        for name, part in found.groupby("indicator")
    ]
    lines: list[list[object]] = []
    dimension = ""
    for here, name, rows in sorted(groups, key=lambda one: (rank.get(one[0], 99), one[1])):
        if here != dimension:
            dimension = here
            lines.append([dimension_label(here, lang)])
        city = find(checkup, name, level="city", year=checkup.year)
        sides = [
            [row for row in rows if (float(row["value"]) > float(row["threshold"])) is above]
            for above in (True, False)
        ]
        lines.append(
            [
                indicator_name(name, definition_of(checkup, name), lang),
                unit_label(str((city or {}).get("unit", "")), lang),
                value_cell(city, lang),
                *(_named(side, by_id, names, lang) for side in sides),
            ]
        )
    return table(
        headers, lines, caption=t("peers.caption", lang), lang=lang, css="peers", note=t("peers.note", lang)
    )
