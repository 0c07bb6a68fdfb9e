"""What a method lacks in a city: layers, years of layers, figures of a table, the delimitation of a range."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.indicators.indicator import Indicator, Method
from workbench.indicators.reasons import Gap, Words, item_words, kind_words, role_words

ATTRIBUTES = {
    "no_heights": "building_heights",
    "no_floors": "building_floors",
    "no_homes": "building_uses",
}
"""Reason of a formula -> what the layer lacks, named like a role."""
_ITEM_PARAMETERS = ("item", "numerator", "denominator")


def items_of(method: Method) -> list[str]:
    """Items of the role ``statistics`` that a method reads."""
    return [str(method.parameters[name]) for name in _ITEM_PARAMETERS if name in method.parameters]


def held_by(city: Any, store: Any, name: str) -> tuple[str, str]:
    """Who holds a role, an item or a kind of facility as the city's profile has it, zh and en; empty where it is silent."""
    holder = getattr(store, "holder", lambda _: None)(name) or ""
    english = str(city.say(holder, "en"))
    return str(city.say(holder, "zh")), english if english.isascii() else ""


def role_gap(city: Any, store: Any, role: str, year: int | None, method: Method | None = None) -> Gap:
    """Gap of a layer that has no usable data for a year (None: the layer is not dated by year).

    Parameters
    ----------
    city : City
        Profile; its hints say who holds what it lacks, or why nobody does.
    store : CityData
        What there is.
    role : str
        Layer role.
    year : int, optional
        Year asked for.
    method : Method, optional
        The method that reads the layer: of statistics its items are named, not the whole yearbook.
    """
    hints = getattr(city, "missing", {})
    years = tuple(store.years(role))
    items = tuple(items_of(method)) if method is not None and role == "statistics" and not years else ()
    holder, holder_en = held_by(city, store, role)
    hint = hints.get(role)
    return Gap(
        role, year, years, holder=holder, holder_en=holder_en, fault=_fault(store, role, year), items=items,
        note=(hint.note_zh, hint.note_en) if hint is not None and not hint.holder else ("", ""),
    )  # fmt: skip


def never_gap(city: Any, role: str, method: Method) -> Gap | None:
    """Gap of an item of statistics that there is none of in this city; None where all may be had."""
    hints = getattr(city, "missing", {})
    for item in items_of(method) if role == "statistics" else ():
        if item in hints and not hints[item].holder:
            return Gap(role, items=(item,), note=(hints[item].note_zh, hints[item].note_en))
    return None


def scope_gap(city: Any, store: Any, scope: str) -> Gap:
    """Gap of a range that the city has not delimited."""
    return replace(role_gap(city, store, "scopes", None), fault=None, scope=scope)


def _fault(store: Any, role: str, year: int | None) -> tuple[str, str, str] | None:
    """What is wrong with a layer that is in the profile but cannot be used; None when it is simply not there."""
    why = getattr(store, "why_missing", None)
    code = why(role, year) if why else None
    if code is None or code in {"no_layer", "no_year"}:
        return None
    from workbench.catalog.data import reason_words

    words = getattr(store, "why_words", lambda *_: None)(role, year)
    return (code, *(words or (reason_words(code, "zh"), reason_words(code, "en"))))


def item_need(city: Any, store: Any, item: str) -> Words:
    """Name of an item of statistics and who publishes it in this city: zh, en, holder zh, holder en."""
    zh, en, usual, usual_en = item_words(item)
    said = held_by(city, store, item)
    if not said[0] and ("statistics" in getattr(city, "missing", {}) or usual == item_words("")[2]):
        said = held_by(city, store, "statistics")
    return zh, en, said[0] or usual, said[1] or usual_en


def lacking_items(city: Any, store: Any, year: int, method: Method) -> list[Words]:
    """Items a method reads that the table has no figure of for the whole city and the year, as :func:`item_need`.

    Of an item with figures of other years the latest of them is named.
    """
    wanted = items_of(method)
    if not wanted:
        return []
    table = store.table("statistics")
    rows = table[table["zone"].isin(["city", "", city.name]) & table["value"].notna()]
    found = []
    for item in wanted:
        years = sorted({int(one) for one in rows.loc[rows["item"] == item, "year"]})
        if year in years:
            continue
        zh, en, *holder = item_need(city, store, item)
        if years:
            zh, en = f"{year}年{zh}（已有{years[-1]}年）", f"{en} of {year} (there is {years[-1]})"
        found.append((zh, en, holder[0], holder[1]))
    return found


def reported_by(city: Any, store: Any, indicator: Indicator) -> tuple[str, str]:
    """Who can fill in an indicator in this city: as the profile says of its statistics, else its usual holder; zh, en."""
    said = held_by(city, store, "statistics") if "statistics" in getattr(city, "missing", {}) else ("", "")
    return said[0] or indicator.holder, said[1] or indicator.holder_en


def attribute_need(city: Any, store: Any, kind: str) -> Words:
    """What a layer's shapes do not say (``no_heights`` …), and who can: zh, en, holder zh, holder en."""
    name = ATTRIBUTES[kind]
    zh, en, usual, usual_en = role_words(name)
    said = held_by(city, store, name)
    return zh, en, said[0] or usual, said[1] or usual_en


def kinds_need(city: Any, store: Any, kinds: list[str]) -> Words:
    """Kinds of facility of which the layer has no point, and who holds them: zh, en, holder zh, holder en."""
    names = [kind_words(one) for one in kinds]
    usual = role_words("facilities")
    said = next((held for one in kinds if (held := held_by(city, store, one))[0]), ("", ""))
    zh, en = "、".join(name[0] for name in names), ", ".join(name[1] for name in names)
    return f"设施点：{zh}", f"facility points: {en}", said[0] or usual[2], said[1] or usual[3]
