"""The inspection report (质检报告) as Word: conclusion, layers, checks, findings with their places, map, packs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.governance.packs import load_packs
from workbench.reporting.sheets import write_sheet
from workbench.reporting.tree import (
    Block,
    Caption,
    Cell,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Picture,
    Row,
    Run,
    Table,
)
from workbench.views import quality
from workbench.views.quality import QualityView
from workbench.views.text import plain

CHAPTERS = ("layers", "checks", "findings", "map", "packs")
NUMBERS = {"zh": "一二三四五六", "en": "123456"}


def quality_sheet(view: QualityView, path: Path | str, lang: str = "zh") -> Path:
    """Write the inspection report of a city.

    Parameters
    ----------
    view : QualityView
        The quality check.
    path : Path
        File to write; it is whole or not there.
    lang : {"zh", "en"}
        Language.
    """
    title = plain("quality_check.title", lang)
    blocks: list[Block] = [
        Heading(1, "", (Run(f"{view.city.title(lang)}{title}" if lang == "zh" else title),))
    ]
    blocks += _conclusion(view, lang)
    makers = {"layers": _layers, "checks": _checks, "findings": _findings, "map": _map, "packs": _packs}
    number = 0
    for chapter in CHAPTERS:
        made = makers[chapter](view, lang)
        if not made:
            continue
        mark = f"{NUMBERS[lang][number]}、" if lang == "zh" else f"{NUMBERS[lang][number]}. "
        if chapter == "packs":
            mark = "附录　" if lang == "zh" else "Appendix: "
            blocks.append(PageBreak())
        blocks += [
            Heading(2, "", (Run(f"{mark}{plain(f'quality_check.{chapter}', lang)}", exempt=True),)),
            *made,
        ]
        number += 1
    return write_sheet(view.city.title(lang), title, str(view.year), blocks, Path(path), lang)


def _text(text: str) -> tuple[Run, ...]:
    """Text whose digits are no row of a value table."""
    return (Run(text, exempt=True),)


def _row(texts: Sequence[str], *, head: bool = False, numbers: Sequence[int] = ()) -> Row:
    cells = [
        Cell((Paragraph(_text(text)),), head=head, align="right" if at in numbers else "left")
        for at, text in enumerate(texts)
    ]
    return Row(tuple(cells), head=head)


def _group(text: str, columns: int) -> Row:
    return Row((Cell((Paragraph(_text(text)),), colspan=columns),), kind="group")


def _head(names: Sequence[str], lang: str, numbers: Sequence[int] = ()) -> Row:
    return _row([plain(f"quality_column.{name}", lang) for name in names], head=True, numbers=numbers)


def _conclusion(view: QualityView, lang: str) -> list[Block]:
    report = view.report
    told = {name: f"{number:,}" for name, number in quality.counts(report).items()}
    text = plain("quality_check.lead", lang, **told)
    if report.blocked:
        between = "、" if lang == "zh" else ", "
        named = between.join(view.title(role, year, lang) for role, year in report.blocked)
        second = plain("quality_check.blocked_lead", lang, names=named)
    else:
        second = plain("quality_check.none_blocked", lang)
    return [Paragraph(_text(text), "lead"), Paragraph(_text(second), "lead")]


def _layers(view: QualityView, lang: str) -> list[Block]:
    columns, numbers = ("layer", "checks", "errors", "warnings", "conclusion", "why"), (1, 2, 3)
    rows = [_head(columns, lang, numbers)]
    for row in quality.graded(view.report).to_dict("records"):
        cells = [
            view.title(row["role"], row["year"], lang), *(str(row[name]) for name in ("checks", "errors", "warnings")),
            plain(f"quality_state.{row['state']}", lang),
            quality.why_blocked(view, row["role"], row["year"], lang) or "—",
        ]  # fmt: skip
        rows.append(_row(cells, numbers=numbers))
    note = Paragraph(_text(plain("quality_check.note", lang)), "note")
    return [_table(rows, "caption_layers", lang), note]


def _checks(view: QualityView, lang: str) -> list[Block]:
    columns, numbers = ("check", "severity", "looked", "findings", "concerned"), (2, 3)
    rows = [_head(columns, lang, numbers)]
    for pack, part in quality.by_check(view, lang).groupby("pack", sort=False):
        rows.append(_group(str(pack), len(columns)))
        for row in part.to_dict("records"):
            cells = [
                row["title"],
                row["severity"],
                str(row["looked"]),
                str(row["findings"]),
                row["concerned"] or "—",
            ]
            rows.append(_row(cells, numbers=numbers))
    return [_table(rows, "caption_checks", lang)]


def _findings(view: QualityView, lang: str) -> list[Block]:
    shown = quality.listed(view, lang)
    if shown.empty:
        return [Paragraph(_text(plain("quality_check.clean", lang)))]
    columns = ("layer", "severity", "message", "place")
    rows = [_head(columns, lang)]
    for check, part in shown.groupby("check", sort=False):
        rows.append(_group(str(check), len(columns)))
        rows += [_row([str(row[name]) for name in columns]) for row in part.to_dict("records")]
    more = plain(
        "quality_check.more", lang, shown=str(quality.MOST_EACH), all=f"{len(view.report.findings):,}"
    )
    return [_table(rows, "caption_findings", lang), Paragraph(_text(more), "note")]


def _map(view: QualityView, lang: str) -> list[Block]:
    drawn = quality.findings_map(view, lang)
    if drawn is None:
        return []
    picture = Picture(drawn.png, "png", drawn.alt)
    return [Figure((picture,), sensitivity=drawn.sensitivity, boundaries=True, review=drawn.review)]


def _packs(view: QualityView, lang: str) -> list[Block]:
    columns = quality.pack_columns(lang)
    rows = [_head(columns, lang)]
    for pack in load_packs().values():
        rows.append(_group(getattr(pack, f"title_{lang}"), len(columns)))
        rows += [_row(quality.pack_cells(check, lang)) for check in pack.checks]
    return [_table(rows, "caption_packs", lang)]


def _table(rows: list[Row], caption: str, lang: str) -> Table:
    return Table(tuple(rows), Caption(_text(plain(f"quality_check.{caption}", lang))))
