"""Finds what a public edition tells of data that are not public, from the tables of its own run."""

import re
import zipfile
from html import unescape

import geopandas as gpd
import openpyxl
import pandas as pd
import pypdf

from workbench.reporting.document import read_page
from workbench.reporting.tree import Heading, Paragraph, Table
from workbench.views.numbers import format_number
from workbench.views.text import plain, unit_label

PUBLIC = "公开"
NUMERAL = re.compile(r"\d[\d,]*(?:\.\d+)?")
LEAST_DIGITS = 4
"""Shorter numerals stand for many things."""
OWN_NUMBERS = ["finding_id", "space_code", "patch_id", "project_code", "unit_no", "supervision_no"]


def texts(folder):
    """Every word of the files of a public edition, by file."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix in (".docx", ".xlsx", ".gpkg"):
            if path.suffix == ".gpkg":
                found[name] = path.read_bytes().decode("utf-8", "ignore")
                continue
            with zipfile.ZipFile(path) as packed:
                parts = [packed.read(one).decode() for one in packed.namelist() if one.endswith(".xml")]
            found[name] = unescape(re.sub(r"</w:p>|</si>|</c>", "\n", "".join(parts)))
            words = re.sub(r"<w:noBreakHyphen ?/>", "-", found[name])
            found[name] = re.sub(r"<[^>]*>", "", words) + "\n".join(
                re.findall(r'(?:descr|name|val)="[^"]*"', words)
            )
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
            found[name] = "\n".join(
                table[c].astype(str).str.cat(sep="\n") for c in table if table[c].dtype == object
            )
        elif path.suffix == ".pdf":
            found[name] = "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)
        elif path.suffix in (".html", ".json"):
            found[name] = re.sub(r'src="data:[^"]*"|url\(data:[^)]*\)', "", path.read_text(encoding="utf-8"))
    return found


def own_numbers(run, permits):
    """Numbers of cases, places, projects and permits that the run knows."""
    found = set(permits["permit_id"].astype(str)) | set(
        permits.get("project_code", pd.Series(dtype=str)).astype(str)
    )
    for name in ("findings.parquet", "findings_before.parquet"):
        if not (run / name).is_file():
            continue
        table = gpd.read_parquet(run / name)
        cases = table[table["kind"] == "spatial_conflict"]
        for column in set(OWN_NUMBERS) & set(table.columns):
            found |= set(cases[column].dropna().astype(str))
    return {one for one in found if len(one) > LEAST_DIGITS and one not in ("None", "nan")}


def closed_numerals(values):
    """Printed numerals of closed values that no public value prints too."""

    def printed(rows):
        return {
            format_number(value, int(decimals)).lstrip("-")
            for value, decimals in zip(rows["value"], rows["decimals"].fillna(0), strict=True)
            if pd.notna(value)
        }

    numerals = printed(values[values["sensitivity"] != PUBLIC]) - printed(
        values[values["sensitivity"] == PUBLIC]
    )
    for unit in values["unit"].dropna().unique():  # "10,000 people" is a unit
        numerals -= set(NUMERAL.findall(unit_label(unit, "en")))
    return {one for one in numerals if len(re.sub(r"\D", "", one).lstrip("0")) >= LEAST_DIGITS}


def judged(page, titles, lang):
    """Blocks and rows that name one of some indicators together with a level of warning."""
    levels = [plain(f"level.{level}", lang) for level in (4, 3, 2, 1, 0)]
    found = []
    for block in read_page(page).blocks:
        if isinstance(block, Table):
            lines = [[run for cell in row.cells for run in cell.runs] for row in block.rows]
        else:
            lines = [block.runs] if isinstance(block, Heading | Paragraph) else []
        for runs in lines:
            chips = [run.text.strip() for run in runs if run.kind == "chip"]
            text = "\n".join(run.text for run in runs)
            named = [
                title
                for title in titles
                if re.search(rf"(^|[：、，；\s]){re.escape(title)}($|[：、，；。\s])", text)
            ]
            warned = set(chips) & set(levels) or any(f"{level}（" in text for level in levels)
            found += [f"{title} beside its level: {text[:80]!r}" for title in named if warned]
    return found


def leaks(run, permits, titles, lang):
    """Sentences about what the public edition of a run tells that it must not.

    Parameters
    ----------
    run : Path
        Folder of the run, with ``public/``.
    permits : DataFrame
        Permits of the city, where they are not public.
    titles : mapping
        Title of each indicator.
    lang : str
        Language of the report.
    """
    values = pd.read_parquet(run / "values.parquet")
    closed = values[values["sensitivity"] != PUBLIC]
    forbidden = own_numbers(run, permits) | set(closed["value_id"])
    numerals = closed_numerals(values)
    found = []
    for name, text in texts(run / "public").items():
        found += [f"{name} holds {one}" for one in sorted(forbidden) if one in text]
        if not name.endswith((".json", ".gpkg")):
            shown = set(NUMERAL.findall(re.sub(r"\d{4}-\d\d-\d\d", "", re.sub(r"<[^>]*>", " ", text))))
            found += [f"{name} prints {one}" for one in sorted(numerals & shown)]
    for path in sorted((run / "public").rglob("*.xlsx")):
        kept = {float(value) for value in values.loc[values["sensitivity"] == PUBLIC, "value"].dropna()}
        hidden = {float(value) for value in closed["value"].dropna() if value != int(value)} - kept
        for sheet in openpyxl.load_workbook(path, read_only=True):
            cells = {
                cell for row in sheet.iter_rows(values_only=True) for cell in row if isinstance(cell, float)
            }
            found += [f"{path.name} {sheet.title} holds {one}" for one in sorted(cells & hidden)]
    city = closed[(closed["level"] == "city") & closed["value"].notna()]
    named = {titles[one] for one in city["indicator"] if one in titles}
    page = (run / "public" / "report.html").read_text(encoding="utf-8")
    return found + judged(page, named, lang)
