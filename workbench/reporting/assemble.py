"""Executed notebooks become one page: outputs of code cells in order, numbered, with a cover.

The page is self-contained: style, pictures and the letters of the Chinese font it uses lie in the file; it
has no script and asks for nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.paths import PACKAGE, atomic_write
from workbench.reporting import store
from workbench.reporting.fonts import embedded_font

if TYPE_CHECKING:
    from workbench.reporting.run import Plan

TEMPLATES = Path(__file__).parent / "templates"
EXEMPT = re.compile(r"\d+(?:[.,:/\-–—]\d+)*")
CAPTION = re.compile(r"<(figcaption|caption)\b([^>]*)>")
HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1>", re.DOTALL)
SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)
RAW_TABLE = 'class="dataframe"'
"""Mark of a table as pandas shows it: for researchers, its numbers cannot be traced."""
TAGS = re.compile(r"<[^>]+>")

WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "contents": "目 录",
        "year_suffix": " 年度",
        "years_suffix": " 评估期",
        "figure": "图",
        "table": "表",
        "city": "体检城市",
        "year": "体检年度",
        "years": "评估期",
        "scopes": "评估范围",
        "vintage": "数据时点",
        "indicators": "指标库版本",
        "rules": "规则库版本",
        "run": "运行编号",
        "made": "编制日期",
        "absent": "本章未编制：{}。",
        "failed": "本章未能生成",
        "failed_note": "其余各章不受影响。本章已执行的部分和日志随报告保存：",
        "status_failed": "执行出错",
        "status_timeout": "超出时限",
        "status_memory": "超出内存限制",
        "status_killed": "进程中断",
        "back": "回到目录",
        "approximate": "（未划定，以市域代替）",
        "generated": "本报告由规划实施监测分析工作台自动生成。报告中每个数值均可凭编号追溯：网页上将指针停在数值上显示编号，印本见附表和随附工作簿。",
        "none": "未注明",
        "to": "至",
        "compared": "（对比和底图数据最早为{}）",
    },
    "en": {
        "contents": "Contents",
        "year_suffix": "",
        "years_suffix": "",
        "figure": "Figure",
        "table": "Table",
        "city": "City",
        "year": "Year of the checkup",
        "years": "Period assessed",
        "scopes": "Scopes",
        "vintage": "Dates of the data",
        "indicators": "Indicator library",
        "rules": "Rule library",
        "run": "Run",
        "made": "Made on",
        "absent": "This chapter was left out: {}.",
        "failed": "This chapter could not be made",
        "failed_note": "The other chapters stand. What was executed of it and its log are kept with the report:",
        "status_failed": "an error",
        "status_timeout": "time limit",
        "status_memory": "memory limit",
        "status_killed": "ended from outside",
        "back": "Contents",
        "approximate": " (not delimited, the municipal area stands in)",
        "generated": "Made by the plan monitoring workbench. Every number can be traced by its id: on the page it shows when the pointer rests on the number; in print see the annex and the workbook.",
        "none": "not stated",
        "to": "to",
        "compared": " (oldest layer compared with or below: {})",
    },
}
"""Words of the page itself; those of the chapters come from ``views``."""


@dataclass
class Section:
    """One chapter as the template shows it."""

    id: str
    """Anchor."""
    number: str
    """Number as printed, e.g. ``1`` or ``A``."""
    title: str
    """Heading."""
    body: str = ""
    """HTML of the chapter."""
    failure: dict[str, str] | None = None
    """Status, name and message when the chapter failed."""
    headings: list[tuple[str, str, str]] = field(default_factory=list)
    """Anchor, number and title of each section, for the table of contents."""


def mark_exempt(text: str) -> str:
    """Text escaped for HTML, its digits marked as no result.

    Examples
    --------
    >>> mark_exempt("2025 & later")
    '<span class="x">2025</span> &amp; later'
    """
    return EXEMPT.sub(lambda hit: f'<span class="x">{hit.group()}</span>', html.escape(text, quote=False))


def notebook_html(path: Path, lang: str) -> str:
    """Take the outputs of an executed notebook's code cells in order; prose, code, text and raw tables are dropped.

    A cell's metadata ``report`` (``{"zh": …, "en": …}``) is printed as a heading before its outputs, when it
    has any.
    """
    import nbformat

    pieces: list[str] = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        shown = [piece for piece in map(_output_html, cell.outputs) if piece]
        heading = cell.metadata.get("report", {}).get(lang)
        if shown and heading:
            pieces.append(f"<h2>{mark_exempt(heading)}</h2>")
        pieces += shown
    return "\n".join(pieces)


def _output_html(output: Mapping[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        shown = SCRIPT.sub("", _text(data["text/html"]))
        return "" if RAW_TABLE in shown else shown
    if "image/png" in data:
        source = "".join(_text(data["image/png"]).split())
        alt = html.escape(_text(data.get("text/plain", "")))
        return f'<figure class="wb-figure"><img src="data:image/png;base64,{source}" alt="{alt}"></figure>'
    return ""


def _text(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def number_section(section: Section, lang: str) -> None:
    """Give numbers to headings (1.1), figures (图 1-1) and tables (表 1-1) of a chapter, and list its headings."""
    counts = {"figcaption": 0, "caption": 0}
    words = WORDS[lang]

    def caption(hit: re.Match[str]) -> str:
        kind = hit.group(1)
        counts[kind] += 1
        word = words["figure" if kind == "figcaption" else "table"]
        label = f"{word} {section.number}-{counts[kind]}"
        return f'{hit.group()}<span class="x label">{label}</span> '

    def heading(hit: re.Match[str]) -> str:
        level, inner = int(hit.group(1)), hit.group(2)
        if level > 2:
            return f"<h{level + 1 if level < 6 else 6}>{inner}</h{level + 1 if level < 6 else 6}>"
        number = f"{section.number}.{len(section.headings) + 1}"
        anchor = f"{section.id}-{len(section.headings) + 1}"
        section.headings.append((anchor, number, html.unescape(TAGS.sub("", inner)).strip()))
        return f'<h3 id="{anchor}"><span class="x label">{number}</span> {inner}</h3>'

    section.body = HEADING.sub(heading, CAPTION.sub(caption, section.body))


def library_version(folder: str) -> str:
    """Package version and hash of a library's definitions, e.g. ``0.1.0+3f2a91c0``."""
    from workbench import __version__

    total = hashlib.sha256()
    for path in sorted((PACKAGE / folder).rglob("*.toml")):
        total.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return f"{__version__}+{total.hexdigest()[:8]}"


def cover_rows(plan: Plan, folder: Path) -> list[tuple[str, object]]:
    """Facts of the cover: what, when, where, from data of which dates, with which libraries."""
    import pandas as pd

    words = WORDS[plan.lang]
    values = pd.read_parquet(folder / "values.parquet", columns=["data_date", "tier", "year", "value"])
    of_year = values[
        (values["year"] == plan.year) & values["value"].notna()
    ]  # last year's are compared with only
    dated = of_year[~of_year["tier"].isin(["target", "derived"])]["data_date"].dropna().astype(str)
    dates = sorted({text[:10] for text in dated if text and text not in ("NaT", "None", "nan")})
    span = (
        words["none"]
        if not dates
        else dates[0]
        if len(dates) == 1
        else f"{dates[0]} {words['to']} {dates[-1]}"
    )
    if dates and (oldest := _oldest_layer(plan, folder)) and oldest < dates[0]:
        span += words["compared"].format(oldest)
    rows: list[tuple[str, object]] = [
        (words["city"], plan.city.title(plan.lang)),
        (words["years" if plan.book.years > 1 else "year"], plan.period),
    ]
    return [
        *rows,
        (words["scopes"], _scopes(plan, folder)),
        (words["vintage"], span),
        (words["indicators"], library_version("indicators")),
        (words["rules"], library_version("rules")),
        (words["run"], plan.run_id),
        (words["made"], _today(plan.lang)),
    ]


def _oldest_layer(plan: Plan, folder: Path) -> str:
    """Date of the oldest layer that the values of the year rest on, former years to compare with among them; empty for none."""
    import pandas as pd

    from workbench.catalog.data import CityData
    from workbench.core.lineage import join, layer_of

    path = folder / "lineage.parquet"
    if not path.exists():
        return ""
    made = pd.read_parquet(path, columns=["value_id", "made_of"])
    values = pd.read_parquet(folder / "values.parquet", columns=["value_id", "year", "value", "tier"])
    shown = values[(values["year"] == plan.year) & values["value"].notna() & (values["tier"] != "target")]
    used = made[made["value_id"].isin(shown["value_id"])]["made_of"].dropna().unique()
    data, dates = CityData(plan.city), []
    for name in join(used):
        role, year, edition = layer_of(name)
        if ":" not in role and data.has(role, year):
            dates.append(str(data.source(role, year, edition=edition).date)[:10])
    return min((one for one in dates if one and one[0].isdigit()), default="")


def _scopes(plan: Plan, folder: Path) -> object:
    """Scopes with their areas from the value table, and which of them the territory stands in for."""
    import pandas as pd
    from markupsafe import Markup

    from workbench.views.annex import scopes_replaced
    from workbench.views.numbers import find, num_of
    from workbench.views.text import has, mark, plain

    words, lang = WORDS[plan.lang], plan.lang
    values = pd.read_parquet(folder / "values.parquet")
    replaced = scopes_replaced(plan.city)
    shown = []
    for name in plan.city.scopes:
        text = mark(plain(f"scope.{name}", lang) if has(f"scope.{name}") else name)
        if row := find(values, "report.scope_km2", level="report", zone=name) if "zone" in values else None:
            text = mark("") + text + mark(" ") + num_of(row, lang=lang, unit=True)
        shown.append(text + mark(words["approximate"] if name in replaced else ""))
    return Markup("<br>".join(shown)) if shown else words["none"]


def _today(lang: str) -> str:
    now = date.today()
    return f"{now.year}年{now.month}月{now.day}日" if lang == "zh" else now.isoformat()


def sections_of(plan: Plan, folder: Path, records: Mapping[str, Mapping[str, Any]]) -> list[Section]:
    """Chapters in the order of the book, numbered; a failed one carries its failure instead of a body."""
    found: list[Section] = []
    main = appendix = 0
    for task in plan.tasks:
        chapter, record = task.chapter, records[task.chapter.id]
        if chapter.appendix:
            number, appendix = chr(ord("A") + appendix), appendix + 1
        else:
            main += 1
            number = str(main)
        section = Section(f"ch-{chapter.id}", number, chapter.title(plan.lang))
        if record["status"] == "ok":
            section.body = notebook_html(folder / "chapters" / f"{chapter.id}.ipynb", plan.lang)
            number_section(section, plan.lang)
        elif record["status"] == store.ABSENT:
            why = WORDS[plan.lang]["absent"].format(record["why"][plan.lang])
            section.body = f'<p class="wb-note">{mark_exempt(why)}</p>'
        else:
            error = record.get("error") or {}
            section.failure = {
                "status": str(record["status"]),
                "name": str(error.get("name", "")),
                "message": str(error.get("message", ""))[:600],
                "files": f"chapters/{chapter.id}.partial.ipynb, chapters/{chapter.id}.log",
            }
        found.append(section)
    return found


def _suffix(plan: Plan) -> str:
    """What follows the year or period on the cover."""
    if plan.quarter:
        return ""
    return WORDS[plan.lang]["years_suffix" if plan.book.years > 1 else "year_suffix"]


def assemble(plan: Plan, folder: Path, records: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write ``report.html`` of a run from its executed chapters and values.

    Parameters
    ----------
    plan : Plan
        The run.
    folder : Path
        Folder of the run with ``values.parquet`` and ``chapters/<id>.ipynb``.
    records : mapping
        Chapter id to its record; ``status`` other than "ok" puts a failure box in the chapter's place.

    Returns
    -------
    Path
        The page.
    """
    words = WORDS[plan.lang]
    content = {
        "words": words | {"year_suffix": _suffix(plan)},
        "title": plan.book.title(plan.lang),
        "city": plan.city.title(plan.lang),
        "year": plan.period,
        "notice": plan.book.notice(plan.lang),
        "rows": cover_rows(plan, folder),
        "sections": sections_of(plan, folder, records),
    }
    return render(content, plan.lang, folder / "report.html")


def render(content: Mapping[str, object], lang: str, path: Path) -> Path:
    """Write a page from its cover and sections, with style and font inside."""
    import jinja2
    from markupsafe import Markup

    from workbench.views.style import css as views_css

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["x"] = lambda text: Markup(mark_exempt(str(text)))
    css = views_css() + (TEMPLATES / "report.css").read_text(encoding="utf-8")
    shared = {**content, "lang": "zh-CN" if lang == "zh" else "en", "css": css}
    template = environment.get_template("report.html.j2")
    bare = template.render(shared, font="")
    font = base64.b64encode(embedded_font(TAGS.sub(" ", bare))).decode()
    with atomic_write(path) as temporary:
        temporary.write_text(template.render(shared, font=font), encoding="utf-8")
    return path
