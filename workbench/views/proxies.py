"""What stands in for what: the methods and the limits of the data behind substitutes and proxies, said where they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.indicators.values import highest_sensitivity
from workbench.views.html import Html, join
from workbench.views.openness import PUBLIC, guarded
from workbench.views.rows import definition_of
from workbench.views.text import mark, t

if TYPE_CHECKING:
    from workbench.views.source import CheckupView

TIERS = ("substitute", "proxy")


def proxy_note(checkup: CheckupView, rows: Iterable[Mapping[str, Any]], lang: str) -> Html | None:
    """Lines below a table on the substitutes and proxies in it: what was taken instead, and what limits the data.

    Parameters
    ----------
    checkup : Checkup
        Values, definitions and layers.
    rows : iterable of mapping
        Rows of the value table that are shown.
    lang : {"zh", "en"}
        Language.

    Returns
    -------
    Html or None
        None when no row is a substitute or proxy, or nothing is known of them.
    """
    methods: dict[str, str] = {}  # and how sensitive the strictest of their values is
    limits: dict[str, None] = {}
    for row in rows:
        at = str(row.get("basis") or "").partition(":")[0]
        known = getattr(definition_of(checkup, str(row["indicator"])), "methods", ())
        if row.get("tier") not in TIERS or not at.isdigit() or int(at) > len(known):
            continue
        method = known[int(at) - 1]
        if said := str(getattr(method, f"note_{lang}", "") or ""):
            level = str(row.get("sensitivity") or "内部")
            methods[said.rstrip("。. ")] = highest_sensitivity(
                [methods.get(said.rstrip("。. "), PUBLIC), level]
            )
        of_area = "面积" in str(row.get("denominator") or "")
        for role in (*method.inputs, *(("boundary", "districts") if of_area else ())):
            year = checkup.year if checkup.data.years(role) else None
            if checkup.data.has(role, year):
                source = checkup.data.source(role, year)
                if (source.tier in TIERS or role not in method.inputs) and (
                    text := str(getattr(source, f"note_{lang}", "") or "")
                ):
                    limits.setdefault(text.rstrip("。. "))
    said_ = [_methods_said(methods, lang)] if methods else []
    if limits:
        said_.append(t("note.proxy_limits", lang, text=mark(_between(lang).join(limits))))
    return Html(" ".join(said_)) if said_ else None


def _between(lang: str) -> str:
    return "；" if lang == "zh" else "; "


def _methods_said(methods: Mapping[str, str], lang: str) -> Html:
    """Sentence on the methods; one behind a value that is not for the public is a sentence of its own."""
    stop = "。" if lang == "zh" else ". "
    parts = []
    if shown := [text for text, level in methods.items() if level == PUBLIC]:
        parts.append(mark(_between(lang).join(shown)))
    for text, level in methods.items():
        if level != PUBLIC:
            parts.append(guarded("span", mark(text), level))
    return t("note.proxy_methods", lang, text=join(parts, stop))
