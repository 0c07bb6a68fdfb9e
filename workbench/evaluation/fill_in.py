"""Fill-in sheets (填报表): a workbook for each department with the figures no layer holds, and their reading back.

:func:`make` asks only for what the city's indicators need and nobody else can give; :func:`read` takes what was filled in,
cell by cell, and says what is wrong where. A figure with an error does not enter; :func:`keep` puts the accepted ones
beside the city's built data, where ``CityData.table("statistics")`` finds them as edition ``fill_in``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.catalog import fill_ins
from workbench.core.errors import DataQualityError, LayerMissing
from workbench.evaluation.checkup import checkup, indicators_of
from workbench.evaluation.fill_in_book import Form, Item, Slot, read_plan, write
from workbench.evaluation.fill_in_checks import (
    FINDINGS,
    Problem,
    check_sums,
    check_twice,
    read_cell,
    row_of,
    silent_rows,
    stateless_rows,
)
from workbench.evaluation.filled import provenance as provenance
from workbench.indicators import lacking
from workbench.indicators.changes import city_library
from workbench.indicators.compute import Run, open_run
from workbench.indicators.indicator import Indicator, Method
from workbench.indicators.limits import limits
from workbench.indicators.reasons import item_words

if TYPE_CHECKING:
    from workbench.core.city import City

NOTE_ABOVE = 0.3
"""Share of last year's value from which on a change needs a note."""
_UNITS = (
    (r"_1e8_cny$", "1e8 CNY"), (r"_1e8_m3$", "1e8 m3"), (r"_1e4_m2$", "1e4 m2"), (r"_km2$", "km2"), (r"_ha$", "ha"),
    (r"_m2$", "m2"), (r"_m$", "m"), (r"_1e4$", "1e4 person"), (r"^beds_", "bed"), (r"", "count"),
)  # fmt: skip
"""Ending of an item's name -> its unit."""


@dataclass(frozen=True)
class FillIn:
    """What was read from fill-in sheets."""

    table: pd.DataFrame
    """Accepted figures: columns of the role ``statistics``, ``department, source_file, cell, note``."""
    findings: pd.DataFrame
    """What is wrong or worth knowing: ``level, file, sheet, cell, item, zone, problem, found, expected, message_zh,
    message_en``; level is ``error`` (the figure does not enter), ``warning`` or ``info``."""
    departments: tuple[str, ...] = ()
    """Departments whose sheets could be read."""

    @property
    def errors(self) -> pd.DataFrame:
        """Findings of level ``error``."""
        rows: pd.DataFrame = self.findings[self.findings["level"] == "error"]
        return rows


def department_of(holder: str) -> tuple[str, tuple[str, ...]]:
    """Department in charge and those that help, from an indicator's holder.

    >>> department_of("水务局、住房城乡建设局"), department_of("自然资源局（执法）")
    (('水务局', ('住房城乡建设局',)), ('自然资源局', ()))
    """
    names = [re.sub(r"（.*?）", "", name).strip() for name in re.split(r"[、，,]", holder)]
    names = [name for name in names if name]
    return (names[0], tuple(names[1:])) if names else ("主管部门", ())


def needed(
    city: City,
    data: Any,
    year: int,
    ids: Sequence[str] | None = None,
    *,
    values: pd.DataFrame | None = None,
) -> dict[str, list[Indicator]]:
    """Items of the role ``statistics`` that indicators wait for, each with the indicators it would serve.

    An indicator asks for nothing when one of its methods has all it needs, and gives a value where the values are known.
    Otherwise it asks for what the method lacks that comes nearest: whose layers are all there and of whose items the
    fewest are missing. What the city has none of (no such system, says the profile) is not asked for.

    Parameters
    ----------
    city : City
        Profile.
    data : CityData
        What there is.
    year : int
        Year of the checkup.
    ids : sequence of str, optional
        Indicators; those of the city's checkup when not given.
    values : DataFrame, optional
        Value table of the year: an indicator without a value in it is asked for though its layers are there.
    """
    library = city_library(city)
    held = _held(data, year)
    given = None if values is None else _given(values, year, held)
    found: dict[str, list[Indicator]] = {}
    for one in indicators_of(city) if ids is None else ids:
        methods = [method for method in library[one].methods if not _never(city, method)]
        lacks = [_lacking(method, data, year, held) for method in methods]
        possible = [lack for lack in lacks if lack]
        complete = len(possible) < sum(lack is not None for lack in lacks)
        if not possible or (complete and (given is None or one in given)):
            continue
        for item in min(possible, key=len):
            found.setdefault(item, []).append(library[one])
    return found


def _given(values: pd.DataFrame, year: int, held: set[str]) -> set[str]:
    """Indicators with a value for the whole city that no department filled in."""
    rows = values[(values["level"] == "city") & (values["year"] == year) & values["value"].notna()]
    reported = rows["basis"].astype(str).str.endswith("statistics.reported")
    return set(rows.loc[~reported | rows["indicator"].isin(list(held)), "indicator"].astype(str))


def _never(city: City, method: Method) -> bool:
    """Whether a method reads something the city has none of."""
    names = (*method.inputs, *lacking.items_of(method))
    hints = [city.missing[name] for name in names if name in city.missing]
    return any(not hint.holder for hint in hints)


def _held(data: Any, year: int) -> set[str]:
    """Items with a figure for the whole city and the year that no department had to fill in."""
    try:
        table = data.table("statistics", year)
    except LayerMissing:
        return set()
    rows = table[table["zone"].isin(["city", ""]) & table["value"].notna()]
    return set(rows.loc[rows["edition"] != fill_ins.EDITION, "item"].astype(str))


def _lacking(method: Method, data: Any, year: int, held: set[str]) -> list[str] | None:
    """Items a method lacks; None when it lacks a layer, which nobody can fill in."""
    for role in set(method.inputs) - {"statistics"}:
        if not data.has(role, year if data.years(role) else None):
            return None
    if "statistics" not in method.inputs:
        return []
    return [item for item in lacking.items_of(method) if item not in held]


def _zones_of(run: Run, serves: Sequence[Indicator], codes: Sequence[str]) -> tuple[str, ...] | None:
    """Districts in which a figure has a meaning for one of the indicators it serves; None when it has in all."""
    found: set[str] = set()
    for one in serves:
        if not one.levels or "district" in one.levels:
            found |= set(codes) - run.zones("district", one.scope)[1]
    return None if found >= set(codes) else tuple(code for code in codes if code in found)


def _item(
    name: str, serves: Sequence[Indicator], last: pd.DataFrame, zones: tuple[str, ...] | None = None
) -> Item:
    own = next((one for one in serves if one.id == name), None)
    title = own.title_zh if own is not None else item_words(name)[0]
    rows = last[last["item"] == name]
    stated = [str(unit) for unit in rows.get("unit", pd.Series(dtype=str)) if str(unit)]
    unit = own.unit if own is not None else stated[-1] if stated else _unit_of(name)
    low, high, whole = limits(title, unit)
    meaning = f"统计范围：{own.scope}。" if own is not None else ""
    others = [one.title_zh for one in serves if one is not own]
    if own is not None and own.denominator_zh:
        meaning += f"分母：{own.denominator_zh}。"
    return Item(
        item=name, title=title, unit=unit, meaning=meaning, serves="、".join(others), low=low,
        high=high, whole=whole, last=tuple((str(z), float(v)) for z, v in zip(rows["zone"], rows["value"], strict=True)),
        zones=zones,
    )  # fmt: skip


def _unit_of(item: str) -> str:
    return next(unit for pattern, unit in _UNITS if re.search(pattern, item))


def forms(
    city: City,
    year: int,
    data: Any,
    ids: Sequence[str] | None = None,
    *,
    values: pd.DataFrame | None = None,
) -> list[Form]:
    """What each department is asked for, by name of the department."""
    asked = needed(city, data, year, ids, values=values)
    last = _last_year(data, year - 1)
    by_department: dict[str, list[Item]] = {}
    others: dict[str, set[str]] = {}
    zones = _districts(city, data)
    run = open_run(city, year, store=data)
    for name, serves in asked.items():
        own = next((one for one in serves if one.id == name), None)
        holder = lacking.reported_by(city, data, own)[0] if own else lacking.item_need(city, data, name)[2]
        main, helpers = department_of(holder)
        by_department.setdefault(main, []).append(
            _item(name, serves, last, _zones_of(run, serves, [code for code, _ in zones]))
        )
        others.setdefault(main, set()).update(helpers)
    return [
        Form(
            city.name, city.name_zh, year, name, tuple(sorted(others[name] - set(by_department))),
            tuple(sorted(by_department[name], key=lambda item: item.item)), zones,
        )
        for name in sorted(by_department)
    ]  # fmt: skip


def _districts(city: City, data: Any) -> tuple[tuple[str, str], ...]:
    """Code and name of each district; none for a city without them."""
    if "district" not in city.levels:
        return ()
    frame = data.zones("district")
    zones = tuple(zip(frame["code"].astype(str), frame["name"].astype(str), strict=True))
    if len({code for code, _ in zones}) < len(zones):
        raise DataQualityError(
            "a code stands for several districts", where=city.name, found=sorted(frame["code"])
        )
    return zones


def _last_year(data: Any, year: int) -> pd.DataFrame:
    try:
        table: pd.DataFrame = data.table("statistics", year)
    except LayerMissing:
        return pd.DataFrame({"item": [], "zone": [], "value": [], "unit": []})
    return table.dropna(subset="value")


def make(
    city: City,
    year: int,
    folder: Path | str,
    *,
    data: Any | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write a workbook for each department with the figures the city's indicators wait for.

    Parameters
    ----------
    city : City
        Profile.
    year : int
        Year of the checkup.
    folder : Path
        Where the workbooks go; named ``填报表_<city>_<year>_<department>.xlsx``.
    data : CityData, optional
        What there is; the city's catalogue when not given, and the values of its checkup (kept from the last run, else
        computed), so that what came to no value is asked for too.
    say : callable, optional
        Told in words what is being done.

    Returns
    -------
    list of Path
        The workbooks, in the order of the departments' names; none when nothing is missing.
    """
    store = _store(city, data)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    wanted = city.check_year(year)
    values = checkup(city, wanted, say=say).values if data is None else None
    written = []
    for form in forms(city, wanted, store, values=values):
        if say is not None:
            say(f"sheet of {form.department}")
        written.append(write(form, target / f"填报表_{city.name_zh}_{year}_{form.department}.xlsx"))
    return written


def _store(city: City, data: Any | None) -> Any:
    if data is not None:
        return data
    from workbench.catalog.data import CityData

    return CityData(city)


def read(city: City, year: int, paths: Iterable[Path | str], *, note_above: float = NOTE_ABOVE) -> FillIn:
    """Read filled-in workbooks and check every cell; nothing is written.

    Parameters
    ----------
    city : City
        Profile the sheets must be of.
    year : int
        Year the sheets must be of.
    paths : iterable of Path
        Workbooks; folders stand for the workbooks in them.
    note_above : float
        Share of last year's value from which on a change needs a note.

    Returns
    -------
    FillIn
        Accepted figures and findings by cell address. A workbook of another city or year, one that was rearranged or is no
        fill-in sheet gives one finding and no figure.
    """
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    departments: list[str] = []
    asked: list[Slot] = []
    for path in _workbooks(paths):
        one = _read_book(city, year, path, note_above)
        rows += one.rows
        problems += one.problems
        asked += one.slots
        departments += [one.department] if one.department else []
    rows, twice = check_twice(rows)
    problems += [*twice, *check_sums(rows, asked)]
    table = pd.DataFrame(rows, columns=fill_ins.COLUMNS).astype({"year": "Int64", "value": float})
    findings = pd.DataFrame([row_of(one) for one in problems], columns=FINDINGS)
    return FillIn(table, findings, tuple(dict.fromkeys(departments)))


def _workbooks(paths: Iterable[Path | str]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        inside = [one for one in sorted(path.glob("*.xlsx")) if not one.name.startswith(("~$", "."))]
        found += inside if path.is_dir() else [path]
    return found


@dataclass(frozen=True)
class _Book:
    """What came out of one workbook."""

    rows: list[dict[str, Any]]
    problems: list[Problem]
    department: str = ""
    slots: tuple[Slot, ...] = ()


def _read_book(city: City, year: int, path: Path, note_above: float) -> _Book:
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    def refuse(problem: str, found: object, expected: object) -> _Book:
        return _Book([], [Problem("error", path.name, "", "", "", "", problem, found, expected)])

    try:
        book = load_workbook(path)
    except (BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        return refuse("unreadable", type(error).__name__, ".xlsx")
    try:
        head, slots = read_plan(book)
    except DataQualityError as error:
        return refuse("not_ours" if "not a fill-in" in error.what else "plan_changed", "", "")
    if head["city"] != city.name:
        return refuse("other_city", head["city"], city.name)
    if int(head["year"]) != year:
        return refuse("other_year", head["year"], year)
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for slot in slots:
        value, wrong = read_cell(book, slot, path.name, year, note_above)
        problems += wrong
        if value is not None:
            note = str(book[slot.sheet][slot.note_cell].value or "")
            rows.append(
                {
                    "item": slot.item, "year": year, "zone": slot.zone, "value": value, "unit": slot.unit,
                    "edition": fill_ins.EDITION, "department": head["department"], "source_file": path.name,
                    "cell": f"{slot.sheet}!{slot.cell}", "note": note,
                }
            )  # fmt: skip
    problems += silent_rows(book, slots, path.name)
    problems += stateless_rows(book, slots, {str(row["cell"]) for row in rows}, path.name)
    return _Book(rows, problems, str(head["department"]), tuple(slots))


def keep(city: City, year: int, filled: FillIn) -> Path:
    """Keep the accepted figures beside the city's built data; those the same departments gave before are replaced."""
    return fill_ins.keep(city.name, year, filled.table, departments=list(filled.departments))
