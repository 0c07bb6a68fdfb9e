"""The spatial structure in words and tables: extent, transitions, landscape, clusters, transit, low-efficiency land, SDG 11."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.figures import structure_figures
from workbench.evaluation.structure.land import SHOWN, group_names
from workbench.evaluation.structure.low_use import LISTED
from workbench.evaluation.structure.people import VERDICTS
from workbench.evaluation.structure.service import SPAN, STATED
from workbench.views.cells import cited, class_name, sure, table, value_cell
from workbench.views.html import Html, join
from workbench.views.judgements import judgement_table
from workbench.views.numbers import num_of, records
from workbench.views.openness import guarded
from workbench.views.text import exempt, mark, plain, t

if TYPE_CHECKING:
    from workbench.evaluation.structure import Structure

Rows = dict[tuple[str, str], dict[str, Any]]
URBAN = ("initial", "joined", "physical", "outside", "range", "range_zones", "scope", "agreement")
WHOLE = ("patches", "mean_patch_ha", "largest_patch", "edge_density", "weighted_shape", "aggregation", "cohesion", "contagion",
         "shannon", "shannon_even")  # fmt: skip
RANKS = ("places", "places_used", "exponent", "exponent_error", "tail", "fit_p", "first_p", "rest", "primacy_share", "primacy_two", "primacy_four",
         "primacy_eleven")  # fmt: skip
CLUSTERS = ("moran", "moran_p", "zones_hh", "zones_ll", "zones_hl", "zones_lh")
UNEQUAL = ("density", "land")


def rows_of(found: Structure) -> Rows:
    """Rows of the value table by name (without ``structure.``) and zone."""
    return {
        (str(r["indicator"]).removeprefix("structure."), str(r["zone"])): r for r in records(found.values)
    }


def _cell(rows: Rows, found: Structure, name: str, lang: str, *, unit: bool = False) -> Html:
    return value_cell(rows.get((name, found.city.name)), lang, unit=unit)


def _num(rows: Rows, found: Structure, name: str, lang: str) -> Html:
    return num_of(rows[name, found.city.name], lang=lang, unit=True)


def _listed(
    found: Structure, part: str, items: Iterable[str], lang: str, key: str, *, note: Html | None = None
) -> Html:
    """Two columns: what, and how much with its unit."""
    rows = rows_of(found)
    held = [one for one in items if (f"{part}.{one}", found.city.name) in rows]
    lines = [
        [t(f"structure.{key}.{one}", lang), _cell(rows, found, f"{part}.{one}", lang, unit=True)]
        for one in held
    ]
    headers = [(t("structure.column.item", lang), "row"), (t("structure.column.value", lang), "number")]
    return table(
        headers, lines, caption=t(f"structure.caption.{key}", lang), lang=lang, css="structure", note=note
    )


def summary(found: Structure, lang: str) -> Html:
    """What an official reads first, from the parts there are."""
    rows = rows_of(found)

    def num(name: str) -> Html:
        return _num(rows, found, name, lang)

    parts: list[tuple[str, Html]] = []
    if found.there("urban"):
        parts.append(
            (
                "urban",
                t(
                    "structure.summary.urban",
                    lang,
                    physical=num("urban.physical"),
                    joined=num("urban.joined"),
                ),
            )
        )
    if found.there("transition"):
        words = {"base": exempt(found.city.base_year), "year": exempt(found.year)}
        parts.append(
            (
                "transition",
                t("structure.summary.transition", lang, **words, changed=num("transition.changed")),
            )
        )
    if ("people.moran", found.city.name) in rows:
        parts.append(
            (
                "people",
                t("structure.summary.people", lang, moran=num("people.moran"), high=num("people.zones_hh")),
            )
        )
    if found.there("people"):
        parts.append(("people", verdict(found, lang)))
    if found.there("low_use"):
        parts.append(
            (
                "low_use",
                t(
                    "structure.summary.low_use",
                    lang,
                    parcels=num("low_use.parcels"),
                    area=num("low_use.area"),
                ),
            )
        )
    said = [guarded("p", text, found.sensitivity_of(found.roles(part))) for part, text in parts]
    return join([*said, absent(found, lang)])


def absent(found: Structure, lang: str) -> Html:
    """Parts that could not be made, with the reason."""
    missing = found.parts[~found.parts["there"].astype(bool)]
    items = [
        Html(f"<li>{plain(f'structure.part.{row.part}', lang)}{'：' if lang == 'zh' else ': '}"
             f"{mark(row.reason_zh if lang == 'zh' else row.reason_en)}</li>")
        for row in missing.itertuples()
    ]  # fmt: skip
    return Html(f"<p>{t('structure.absent', lang)}</p><ul>{join(items)}</ul>") if items else Html("")


def verdict_word(found: Structure, lang: str) -> str:
    """What may be said of the rank-size rule here, in a word or two."""
    return plain(f"structure.verdict_word.{VERDICTS[int(found.value('people', 'verdict'))]}", lang)


def verdict(found: Structure, lang: str) -> Html:
    """What may be said of the rank-size rule here."""
    rows = rows_of(found)
    name = VERDICTS[int(found.value("people", "verdict"))]
    words: dict[str, Html] = {"places": _num(rows, found, "people.places", lang)}
    used: dict[str, tuple[str, ...]] = {
        "too_few": (),
        "primate": ("exponent", "exponent_error", "first_p", "rest"),
    }
    told = used.get(name, ("exponent", "exponent_error", "fit_p"))
    words |= {one: _num(rows, found, f"people.{one}", lang) for one in told}
    return t(f"structure.verdict.{name}", lang, **words)


def urban_table(found: Structure, lang: str) -> Html:
    """First range, what joined, physical urban area, urban range, and the range of the profile beside them."""
    settings = found.settings.parameters
    words = {
        "metres": exempt(f"{settings.connected_m:g}"),
        "share": exempt(f"{100 * settings.least_share:g}%"),
    }
    return _listed(found, "urban", URBAN, lang, "urban", note=t("structure.note.urban", lang, **words))


def transition_table(found: Structure, lang: str) -> Html:
    """Hectares from each group (rows) to each (columns); the interval stands below where points were checked."""
    rows, held = rows_of(found), found.tables["transitions"]
    names = dict(zip(held["before"], held[f"before_{lang}"], strict=True)) | dict(
        zip(held["after"], held[f"after_{lang}"], strict=True)
    )
    order = [
        *(one for one in found.settings.parameters.landscape_groups if one in names),
        *(["other"] if "other" in names else []),
    ]
    headers: list[tuple[object, str]] = [(t("structure.column.from", lang), "row")]
    headers += [(mark(names[one]), "number") for one in order]
    lines: list[list[object]] = []
    for before in order:
        cells: list[object] = [mark(names[before])]
        for after in order:
            row = rows.get((f"transition.flow.{before}.{after}", found.city.name))
            cells.append(_with_interval(row, lang) if row is not None else "")
        lines.append(cells)
    sampled = bool(held["low"].notna().any())
    note = t(f"structure.note.transition_{'sampled' if sampled else 'plain'}", lang)
    words = {"base": exempt(found.city.base_year), "year": exempt(found.year)}
    return table(
        headers,
        lines,
        caption=t("structure.caption.transition", lang, **words),
        lang=lang,
        css="structure",
        note=note,
    )


def _with_interval(row: dict[str, Any], lang: str) -> Html:
    if pd.isna(row["low"]):
        return value_cell(row, lang)
    low, high = (exempt(f"{float(row[side]):,.1f}") for side in ("low", "high"))
    return Html(f"{value_cell(row, lang)} ({low}–{high})")


def landscape_table(found: Structure, lang: str) -> Html:
    """Metrics of the whole landscape at both dates."""
    rows, held = rows_of(found), found.tables["landscape"]
    years = sorted({int(one) for one in held["year"]})
    headers: list[tuple[object, str]] = [(t("structure.column.metric", lang), "row")]
    headers += [(exempt(year), "number") for year in years]
    lines: list[list[object]] = [
        [
            t(f"structure.metric.{one}", lang),
            *(_cell(rows, found, f"landscape.{one}.{year}", lang) for year in years),
        ]
        for one in WHOLE
    ]
    return table(headers, lines, caption=t("structure.caption.landscape", lang), lang=lang, css="structure",
                 note=t("structure.note.landscape", lang))  # fmt: skip


def class_table(found: Structure, lang: str) -> Html:
    """Metrics of each group of classes in the year."""
    rows, held = rows_of(found), found.tables["landscape"]
    held = held[(held["level"] == "class") & (held["year"] == found.year)].drop_duplicates("class")
    wanted = ("pland", *SHOWN)
    headers: list[tuple[object, str]] = [(t("structure.column.class", lang), "row")]
    headers += [(t(f"structure.metric.{one}", lang), "number") for one in wanted]
    lines: list[list[object]] = [
        [
            mark(row[f"class_{lang}"]),
            *(_cell(rows, found, f"landscape.{one}.{row['class']}.{found.year}", lang) for one in wanted),
        ]
        for row in held.to_dict("records")
    ]
    return table(
        headers,
        lines,
        caption=t("structure.caption.classes", lang, year=exempt(found.year)),
        lang=lang,
        css="structure",
    )


def people_table(found: Structure, lang: str) -> Html:
    """Clustering, ranks and primacy."""
    return join([
        _listed(found, "people", CLUSTERS, lang, "clusters", note=t("structure.note.clusters", lang)),
        _listed(found, "people", RANKS, lang, "ranks", note=verdict(found, lang)),
    ])  # fmt: skip


def inequality_table(found: Structure, lang: str) -> Html:
    """Theil with its parts, and Gini."""
    rows = rows_of(found)
    held = [one for one in UNEQUAL if (f"people.theil_{one}", found.city.name) in rows]
    names = ("theil", "theil_between", "theil_within", "gini")
    headers: list[tuple[object, str]] = [(t("structure.column.item", lang), "row")]
    headers += [(t(f"structure.column.{one}", lang), "number") for one in names]
    lines: list[list[object]] = [
        [
            t(f"structure.unequal.{one}", lang),
            *(_cell(rows, found, f"people.{name}_{one}", lang) for name in names),
        ]
        for one in held
    ]
    return table(headers, lines, caption=t("structure.caption.unequal", lang), lang=lang, css="structure")


def window_title(found: Structure, window: str, lang: str) -> str:
    """Name of a window of the day."""
    if window == STATED:
        return plain("structure.window.stated", lang)
    if window.startswith(f"{SPAN}_"):
        return plain("structure.window.span", lang)
    return next(one.title(lang) for one in found.settings.windows if one.id == window)


def transit_table(found: Structure, lang: str) -> Html:
    """People with a served and with a frequent stop within the walk, by mode and time of day."""
    rows = rows_of(found)
    headers: list[tuple[object, str]] = [
        (t("structure.column.mode", lang), "row"), (t("structure.column.window", lang), "short"),
        *((t(f"structure.column.{one}", lang), "number") for one in ("headway", "served", "frequent")),
    ]  # fmt: skip
    lines: list[list[object]] = [
        [plain(f"structure.mode.{row['mode']}", lang), mark(window_title(found, str(row["window"]), lang)),
         *(_cell(rows, found, f"transit.{what}.{row['mode']}.{row['window']}", lang) for what in ("headway", "served", "frequent"))]
        for row in found.tables["transit"].to_dict("records")
    ]  # fmt: skip
    settings = found.settings.parameters
    words = {
        "bus": exempt(f"{settings.bus_m:g}"),
        "rail": exempt(f"{settings.rail_m:g}"),
        "minutes": exempt(f"{settings.frequent_min:g}"),
    }
    basis = "population" if "population" in found.roles("transit") else "buildings"
    note = join(
        [t("structure.note.transit", lang, **words), t(f"structure.note.basis_{basis}", lang)],
        "" if lang == "zh" else " ",
    )
    return table(
        headers, lines, caption=t("structure.caption.transit", lang), lang=lang, css="structure", note=note
    )


def low_use_table(found: Structure, lang: str) -> Html:
    """Rules with what they found, and the largest parcels with their reasons."""
    rows = rows_of(found)
    headers: list[tuple[object, str]] = [
        (t("structure.column.rule", lang), "row"), (t("structure.column.parcels", lang), "number"),
        (t("structure.column.ha", lang), "number"), (t("structure.column.source", lang), ""),
        (t("structure.column.confidence", lang), ""),
    ]  # fmt: skip
    lines: list[list[object]] = [
        [mark(rule.title(lang)), _cell(rows, found, f"low_use.parcels.{rule.id}", lang),
         _cell(rows, found, f"low_use.area.{rule.id}", lang), cited(rule.source, lang), sure(rule.confidence, lang)]
        for rule in found.settings.low_use
    ]  # fmt: skip
    first = table(headers, lines, caption=t("structure.caption.low_use", lang), lang=lang, css="structure",
                  note=t("structure.note.low_use", lang))  # fmt: skip
    parcels = found.tables["low_use"].nlargest(LISTED, "area_m2")
    headers = [
        (t("structure.column.parcel", lang), "row"), (t("structure.column.class", lang), "short"),
        (t("structure.column.ha", lang), "number"), (t("structure.column.reason", lang), ""),
    ]  # fmt: skip
    lines = [
        [mark(row["parcel_id"]), mark(class_name(row["dlbm"], lang)),
         value_cell(rows.get(("low_use.parcel", str(row["parcel_id"]))), lang), mark(row[f"reason_{lang}"])]
        for row in parcels.to_dict("records")
    ]  # fmt: skip
    shown = [found.sensitivity_of(found.roles("low_use"))] * len(lines)
    return join([first, table(headers, lines, caption=t("structure.caption.parcels", lang), lang=lang, css="structure",
                              row_sensitivity=shown)])  # fmt: skip


def rule_table(found: Structure, lang: str) -> Html | None:
    """What the rules on low-efficiency land say."""
    shown = found.sensitivity_of(found.roles("low_use"))
    return judgement_table(
        structure_figures(found), found.values, "low_use", found.year, lang, sensitivity=shown
    )


def sdg_table(found: Structure, lang: str) -> Html:
    """SDG 11 indicators with what they are made of, and the value counted again."""
    rows, parts = rows_of(found), found.tables["sdg"]
    checked = found.tables["sdg_check"].set_index("indicator")
    headers: list[tuple[object, str]] = [
        (t("structure.column.item", lang), "row"), (t("structure.column.value", lang), "number"),
    ]  # fmt: skip
    lines: list[list[object]] = []
    for name in checked.index:
        mine = parts[parts["indicator"] == name]
        row = rows.get((f"sdg.{name}.recount", found.city.name))
        if mine.empty and (row is None or pd.isna(row["value"])):
            continue
        key = name.removeprefix("SDG-").replace(".", "_")
        lines.append([mark(f"{name} {plain(f'structure.sdg.{key}', lang)}")])
        lines += [
            [t(f"structure.component.{one}", lang), _cell(rows, found, f"sdg.{name}.{one}", lang, unit=True)]
            for one in mine["component"]
        ]
        lines.append([t("structure.component.recount", lang), value_cell(row, lang, unit=True)])
    return table(headers, lines, caption=t("structure.caption.sdg", lang), lang=lang, css="structure",
                 note=t("structure.note.sdg", lang))  # fmt: skip


def finding_table(found: Structure, lang: str) -> Html:
    """What must be known of data and results."""
    headers: list[tuple[object, str]] = [
        (t("structure.column.part", lang), "row"),
        (t("structure.column.finding", lang), ""),
    ]
    lines: list[list[object]] = [
        [plain(f"structure.part.{row['part']}", lang), mark(row[f"message_{lang}"])]
        for row in found.findings.to_dict("records")
    ]
    shown = [found.sensitivity_of(found.roles(str(part))) for part in found.findings["part"]]
    return table(
        headers,
        lines,
        caption=t("structure.caption.findings", lang),
        lang=lang,
        css="structure",
        row_sensitivity=shown,
    )


def _stated(name: str, value: object, lang: str) -> str:
    """Value of a parameter; groups of classes by their names."""
    if not isinstance(value, tuple):
        return str(value)
    names = group_names(value) if name.endswith("_groups") else {}
    shown = [names[one][lang == "en"] if one in names else str(one) for one in value]
    return ("、" if lang == "zh" else ", ").join(shown)


def settings_table(found: Structure, lang: str) -> Html:
    """Thresholds with their source and how sure they are."""
    headers: list[tuple[object, str]] = [
        (t("structure.column.parameter", lang), "row"), (t("structure.column.value", lang), ""),
        (t("structure.column.source", lang), ""), (t("structure.column.confidence", lang), ""),
    ]  # fmt: skip
    stated = found.settings.parameters.model_dump()
    lines: list[list[object]] = [
        [t(f"structure.parameter.{name}", lang), exempt(_stated(name, value, lang)),
         cited(found.settings.origin[name]["source"], lang), sure(found.settings.origin[name]["confidence"], lang)]
        for name, value in stated.items()
        if name in found.settings.origin
    ]  # fmt: skip
    return table(headers, lines, caption=t("structure.caption.settings", lang), lang=lang, css="structure")
