"""Suitability in words and tables: classes by zone, factors, sensitivity, conflicts, carrying capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.core.codes import groups
from workbench.evaluation.figures import suitability_figures
from workbench.evaluation.suitability.capacity import FORMULAS
from workbench.evaluation.suitability.plan import missing_of
from workbench.views.cells import cited, profile_text, sure, table, tier_label, value_cell
from workbench.views.html import Html, element, join
from workbench.views.judgements import judgement_table
from workbench.views.numbers import num_of, records
from workbench.views.openness import PUBLIC, guarded
from workbench.views.text import exempt, mark, plain, t, unit_label

if TYPE_CHECKING:
    from workbench.evaluation.suitability import Suitability
    from workbench.evaluation.suitability.settings import Use

MOST_MOVES = 12
"""Moves of thresholds a table shows."""
MOST_ZONES = 13
"""Zones across a table; of more, the city alone is shown and the others are in the tables written."""
_CHIPS = {0: "level-0", 1: "level-2", 2: "level-4", -1: "level-none"}


def rows_of(result: Suitability) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of the value table by name (without ``suitability.``) and zone."""
    return {
        (str(row["indicator"]).removeprefix("suitability."), str(row["zone"])): row
        for row in records(result.values)
    }


def level_word(level: object, lang: str) -> str:
    """Word of a level of carrying capacity.

    Examples
    --------
    >>> level_word(2, "zh"), level_word(-1, "en")
    ('超载', 'not known')
    """
    number = int(level)  # type: ignore[call-overload]
    return plain(f"suit.level.{number if number >= 0 else 'none'}", lang)


def level_chip(level: int, lang: str) -> Html:
    """Level of carrying capacity as a coloured chip."""
    return element("span", level_word(level, lang), css=f"chip {_CHIPS[int(level)]}")


def evaluation_title(result: Suitability, output: str, lang: str) -> str:
    """Name of a result."""
    if output == "zoning":
        return plain("suit.map.overall", lang)
    return result.settings.evaluation(output).title(lang)


def missing_names(result: Suitability, output: str, lang: str) -> list[str]:
    """Names of the factors a result is without."""
    names = [output] if output != "zoning" else [one.id for one in result.settings.evaluations]
    found = dict.fromkeys(factor for name in names for factor in missing_of(result.factors, name))
    return [result.settings.factor(factor).title(lang) for factor in found]


def _listed(names: list[str], lang: str) -> str:
    return ("、" if lang == "zh" else ", ").join(names)


def summary(result: Suitability, lang: str) -> Html:
    """What an official reads first: shares, what is lacking, how sure, conflicts, level of carrying capacity."""
    rows, city = rows_of(result), result.city.name
    parts: list[Html] = []

    def number(name: str) -> Html:
        return num_of(rows[name, city], lang=lang, unit=True)

    if {"ecology", "farming", "building"} <= set(result.outputs):
        parts.append(
            t("suit.summary_classes", lang, city=result.city.title(lang), year=exempt(result.year),
              extreme=number("share.ecology.1"), farming=number("share.farming.1"), building=number("share.building.1"),
              both=number("area.both.1"))
        )  # fmt: skip
        if result.grid["draws"]:
            parts.append(
                t("suit.summary_sure", lang, draws=exempt(result.grid["draws"]), low=number("draw_low.building.1"),
                  high=number("draw_high.building.1"))
            )  # fmt: skip
    lacking = [
        plain("suit.without_item", lang, evaluation=one.title(lang), factors=_listed(names, lang))
        for one in result.settings.evaluations
        if (names := missing_names(result, one.id, lang))
    ]
    if lacking:
        parts.append(t("suit.summary_without", lang, missing=("；" if lang == "zh" else "; ").join(lacking)))
    in_city = result.conflicts[result.conflicts["level"] == "city"]
    if len(in_city) and in_city["area_m2"].max() > 0:
        worst = str(in_city.sort_values("area_m2")["conflict"].iloc[-1])
        title = next(one for one in result.settings.conflicts if one.id == worst).title(lang)
        parts.append(t("suit.summary_conflict", lang, conflict=title, area=number(f"conflict.{worst}")))
    parts.append(_level_sentence(result, lang))
    return guarded("p", join(parts, "" if lang == "zh" else " "), result.openness)


def _level_sentence(result: Suitability, lang: str) -> Html:
    """The city's level with the constraint it comes from."""
    in_city = result.capacity[result.capacity["level"] == "city"]
    rows = {str(row["constraint"]): int(row["warning"]) for row in records(in_city)}
    level = rows["all"]
    if level < 0:
        return t("suit.summary_no_level", lang)
    gravest = [name for name, one in rows.items() if name != "all" and one == level]
    words = _listed([plain(f"suit.constraint.{name}", lang) for name in gravest], lang)
    return t("suit.summary_level", lang, level=level_word(level, lang), constraint=words)


def _zones(result: Suitability, lang: str) -> list[tuple[str, str]]:
    """Code and name of the city and of its zones of the first level."""
    level = ["city", *list(result.city.levels)[:1]]
    shown = result.areas[result.areas["level"].isin(level)].drop_duplicates(["level", "zone"])
    name = "zone_name_en" if lang == "en" else "zone_name"
    return [(str(code), str(text)) for code, text in zip(shown["zone"], shown[name], strict=True)]


def area_table(result: Suitability, lang: str) -> Html:
    """Area of each class of each result by zone: classes down, zones across."""
    rows, zones = rows_of(result), _shown_zones(result, lang)
    headers: list[tuple[object, str]] = [(t("suit.column.class", lang), "row")]
    headers += [(mark(name), "number") for _, name in zones]
    lines: list[list[object]] = []
    for output in result.outputs:
        lines.append([evaluation_title(result, output, lang)])
        for code, title in enumerate(result.titles(output, lang), start=1):
            cells = [value_cell(rows.get((f"area.{output}.{code}", zone)), lang) for zone, _ in zones]
            lines.append([mark(title), *cells])
    return table(
        headers, lines, caption=t("suit.caption.areas", lang), lang=lang, css="suitability",
        note=t("suit.note.areas", lang),
    )  # fmt: skip


def _shown_zones(result: Suitability, lang: str) -> list[tuple[str, str]]:
    """Zones that fit across a table: the city alone where there are too many."""
    zones = _zones(result, lang)
    return zones if len(zones) <= MOST_ZONES else zones[:1]


def factor_table(result: Suitability, lang: str) -> Html:
    """Factors of each evaluation: used, standing in or missing, with the reason and the layer's source."""
    rows, city = rows_of(result), result.city.name
    headers: list[tuple[object, str]] = [(t("suit.column.factor", lang), "row")]
    headers += [(t(f"suit.column.{name}", lang), "short") for name in ("state", "tier")]
    headers += [(t("suit.column.lacking", lang), "number"), (t("suit.column.layer", lang), "")]
    lines: list[list[object]] = []
    for one in result.settings.evaluations:
        lines.append([one.title(lang)])
        for row in records(result.factors[result.factors["evaluation"] == one.id]):
            text = row[f"reason_{lang}"] or profile_text(result, row["layer_source"], lang)
            lines.append(
                [mark(result.settings.factor(row["factor"]).title(lang)), plain(f"suit.state.{row['state']}", lang),
                 tier_label(row["tier"], lang), value_cell(rows.get((f"without.{one.id}.{row['factor']}", city)), lang),
                 mark(text)]
            )  # fmt: skip
    return table(
        headers, lines, caption=t("suit.caption.factors", lang), lang=lang, css="suitability",
        note=t("suit.note.factors", lang),
    )  # fmt: skip


def _points(result: Suitability, use: Use, lang: str) -> str:
    """Points of a use in words."""
    factor = result.settings.factor(use.factor)
    if use.effect == "limit":
        return plain("suit.effect.limit", lang)
    if use.inside is not None:
        return plain("suit.effect.inside", lang, inside=f"{use.inside:g}", outside=f"{use.outside:g}")
    key = "suit.effect.lower" if use.effect == "lower" else "suit.effect.points"
    parts = []
    if use.steps:
        before = ""
        for step in use.steps:
            last = step.to == float("inf")
            at = f">{before}{factor.unit}" if last else f"≤{step.to:g}{factor.unit}"
            parts.append(f"{at} {plain(key, lang, points=f'{step.score:g}')}")
            before = f"{step.to:g}"
    else:
        known = groups()
        for name, score in use.values.items():
            title = str(known.loc[name, f"name_{lang}"]) if name in known.index else name
            parts.append(f"{title} {score:g}")
        parts.append(f"{plain('suit.effect.other', lang)} {use.other:g}")
    return ("；" if lang == "zh" else "; ").join(parts)


def _with_steps(use: Use, field: str, lang: str) -> Html:
    """Source (or confidence) of a use, and of those of its steps that have their own."""
    last = use.thresholds[-1] if use.thresholds else None
    say = cited if field == "source" else sure
    found = [say(getattr(use, field), lang)]
    for step in use.steps:
        if own := str(getattr(step, field)):
            bound = f">{last:g}" if step.to == float("inf") else f"≤{step.to:g}"
            found.append(Html(exempt(f"{bound}{'：' if lang == 'zh' else ': '}") + say(own, lang)))
    return join(found, "；" if lang == "zh" else "; ")


def points_table(result: Suitability, lang: str) -> Html:
    """How land is judged: points by factor, weights, sources and how sure they are."""
    headers: list[tuple[object, str]] = [
        (t("suit.column.factor", lang), "row"),
        (t("suit.column.points", lang), ""),
    ]
    headers += [
        (t("suit.column.weight", lang), "number"),
        (t("suit.column.source", lang), ""),
        (t("suit.column.confidence", lang), ""),
    ]
    lines: list[list[object]] = []
    for one in result.settings.evaluations:
        lines.append([one.title(lang)])
        between = " / ".join(f"{grade.title(lang)} ≥{grade.least:g}" for grade in one.classes[:-1])
        lines.append(
            [
                plain("suit.points_between", lang),
                exempt(between),
                "",
                cited(one.source, lang),
                sure(one.confidence, lang),
            ]
        )
        for use in result.settings.uses:
            if use.evaluation == one.id:
                weight = f"{use.weight:g}" if one.combine == "mean" and use.effect == "score" else ""
                lines.append(
                    [mark(result.settings.factor(use.factor).title(lang)), exempt(_points(result, use, lang)), exempt(weight),
                     _with_steps(use, "source", lang), _with_steps(use, "confidence", lang)]
                )  # fmt: skip
    return table(
        headers, lines, caption=t("suit.caption.points", lang), lang=lang, css="suitability",
        note=t("suit.note.points", lang),
    )  # fmt: skip


def own_moves(result: Suitability) -> pd.DataFrame:
    """Moves with what they change in their own evaluation, the largest first."""
    rows = result.sensitivity
    own = rows[rows["output"] == rows["evaluation"]]
    return own.sort_values("share", ascending=False, kind="stable").reset_index(drop=True)


def threshold_name(result: Suitability, row: dict[str, Any], lang: str) -> str:
    """Name of a threshold: its factor, or the points between classes."""
    if not row["factor"]:
        return plain("suit.points_between", lang)
    return result.settings.factor(row["factor"]).title(lang)


def move_table(result: Suitability, lang: str, *, most: int = MOST_MOVES) -> Html:
    """The moves of one threshold that change most land."""
    rows, city = rows_of(result), result.city.name
    headers: list[tuple[object, str]] = [
        (t("suit.column.evaluation", lang), "row"),
        (t("suit.column.factor", lang), ""),
    ]
    headers += [(t(f"suit.column.{name}", lang), "number") for name in ("threshold", "moved_to", "changed")]
    lines: list[list[object]] = []
    for row in records(own_moves(result).head(most)):
        way = "up" if row["direction"] > 0 else "down"
        name = f"{row['evaluation']}.{row['factor'] or 'points'}.{row['threshold']}.{way}"
        lines.append(
            [evaluation_title(result, row["evaluation"], lang), _with_unit(result, row, lang), exempt(f"{row['base']:.1f}"),
             value_cell(rows.get((f"threshold.{name}", city)), lang),
             value_cell(rows.get((f"moved.{name}", city)), lang, unit=True)]
        )  # fmt: skip
    between = "、" if lang == "zh" else ", "
    points = between.join(dict.fromkeys(f"{one.move:g}" for one in result.settings.evaluations))
    return table(
        headers, lines, caption=t("suit.caption.moves", lang, count=exempt(len(lines))), lang=lang, css="suitability",
        note=t("suit.note.moves", lang, share=exempt(f"{100 * result.settings.parameters.move_share:g}"), points=exempt(points)),
    )  # fmt: skip


def _with_unit(result: Suitability, row: dict[str, Any], lang: str) -> str:
    """Name of a threshold with the unit of its factor."""
    name, unit = (
        threshold_name(result, row, lang),
        result.settings.factor(row["factor"]).unit if row["factor"] else "",
    )
    if not unit:
        return name
    return f"{name}（{unit}）" if lang == "zh" else f"{name} ({unit})"


def draw_table(result: Suitability, lang: str) -> Html:
    """Share of each class as set and over the draws, and how sure its land is."""
    rows, city = rows_of(result), result.city.name
    names = ("share", "draw_mean", "draw_low", "draw_high", "chance", "sure")
    headers: list[tuple[object, str]] = [(t("suit.column.class", lang), "row")]
    headers += [(t(f"suit.column.{name}", lang), "number") for name in names]
    lines: list[list[object]] = []
    for output in result.outputs:
        lines.append([evaluation_title(result, output, lang)])
        for code, title in enumerate(result.titles(output, lang), start=1):
            cells = [value_cell(rows.get((f"{name}.{output}.{code}", city)), lang) for name in names]
            lines.append([mark(title), *cells])
    return table(
        headers, lines, caption=t("suit.caption.draws", lang), lang=lang, css="suitability",
        note=t("suit.note.draws", lang, draws=exempt(result.grid["draws"])),
    )  # fmt: skip


def conflict_table(result: Suitability, lang: str) -> Html:
    """Present use against the result: area in the city and its zones, share of that use, what follows."""
    rows, zones = rows_of(result), _shown_zones(result, lang)
    there = set(result.conflicts["conflict"])
    headers: list[tuple[object, str]] = [(t("suit.column.conflict", lang), "row")]
    headers += [(mark(name), "number") for _, name in zones]
    headers += [(t("suit.column.conflict_share", lang), "number"), (t("suit.column.clause", lang), "")]
    lines: list[list[object]] = []
    for one in result.settings.conflicts:
        if one.id in there:
            cells = [value_cell(rows.get((f"conflict.{one.id}", code)), lang, unit=True) for code, _ in zones]
            share = value_cell(rows.get((f"conflict_share.{one.id}", result.city.name)), lang, unit=True)
            lines.append(
                [mark(one.title(lang)), *cells, share, mark(one.clause_en if lang == "en" else one.clause_zh)]
            )
    return table(
        headers, lines, caption=t("suit.caption.conflicts", lang), lang=lang, css="suitability",
        row_sensitivity=_open(result, lines),
    )  # fmt: skip


def rule_table(result: Suitability, lang: str) -> Html | None:
    """What the rules on present use against suitability and on carrying capacity say."""
    figures = suitability_figures(result)
    return judgement_table(
        figures, result.values, "suitability", result.year, lang, sensitivity=result.openness
    )


def _open(result: Suitability, lines: list[list[object]]) -> list[str]:
    """Sensitivity of the words of each row of a table, which rest on the layers."""
    return ["" if result.openness == PUBLIC else result.openness] * len(lines)


def capacity_table(result: Suitability, lang: str) -> Html:
    """Carrying capacity: each constraint for the city, then each zone's."""
    rows = rows_of(result)
    names = ("capacity", "load", "people_capacity", "ratio")
    headers: list[tuple[object, str]] = [(t("suit.column.constraint", lang), "row")]
    headers += [(t(f"suit.column.{name}", lang), "number") for name in names]
    headers += [(t("suit.column.level", lang), "short"), (t("suit.column.note", lang), "")]
    lines: list[list[object]] = []
    levels = {(str(row["constraint"]), str(row["zone"])): row for row in records(result.capacity)}
    for code, name in _zones(result, lang):
        lines.append([mark(name)])
        for constraint in ("farming", "building", "water", "all"):
            held = levels.get((constraint, code))
            below = code != result.city.name
            if held is None or (below and (held["warning"] < 0 or constraint == "all")):
                continue
            cells = [value_cell(rows.get((f"{one}.{constraint}", code)), lang, unit=True) for one in names]
            lines.append(
                [plain(f"suit.constraint.{constraint}", lang), *cells, level_chip(int(held["warning"]), lang),
                 mark(held[f"reason_{lang}"])]
            )  # fmt: skip
    return table(
        headers, lines, caption=t("suit.caption.capacity", lang), lang=lang, css="suitability",
        note=t("suit.note.capacity", lang), row_sensitivity=_open(result, lines),
    )  # fmt: skip


def assumption_table(result: Suitability, lang: str) -> Html:
    """Assumptions of carrying capacity with source and confidence, then the formulas."""
    headers: list[tuple[object, str]] = [
        (t("suit.column.assumption", lang), "row"),
        (t("suit.column.value", lang), "number"),
    ]
    headers += [(t("suit.column.source", lang), ""), (t("suit.column.confidence", lang), "")]
    lines: list[list[object]] = []
    for one in result.settings.capacity.values():
        value = one.value if isinstance(one.value, str) else f"{one.value:g}"
        unit = "" if one.unit == "1" else unit_label(one.unit, lang)
        lines.append(
            [
                mark(one.title(lang)),
                exempt(f"{value} {unit}".strip()),
                cited(one.source, lang),
                sure(one.confidence, lang),
            ]
        )
    made = table(headers, lines, caption=t("suit.caption.assumptions", lang), lang=lang, css="suitability")
    formulas = [
        element("p", join([Html(f"{mark(plain(f'suit.constraint.{name}', lang))}："), mark(words[1 if lang == 'en' else 0])]), css="wb-note")
        for name, words in FORMULAS.items()
    ]  # fmt: skip
    return Html(made + join(formulas))


def finding_table(result: Suitability, lang: str) -> Html:
    """What a reader must know of the cells."""
    headers: list[tuple[object, str]] = [(t("suit.column.note", lang), "row")]
    lines: list[list[object]] = [[mark(text)] for text in result.findings[f"message_{lang}"]]
    return table(headers, lines, caption=t("suit.caption.findings", lang), lang=lang, css="suitability")
