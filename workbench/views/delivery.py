"""A delivery as a reader sees it: each file with what is wrong, and what became of those that were taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.views.cells import role_label, table, word
from workbench.views.html import Html, join
from workbench.views.text import exempt, mark, t

if TYPE_CHECKING:
    from workbench.governance.delivery import Found
    from workbench.governance.delivery_layer import Outcome


def found_table(found: Sequence[Found], lang: str) -> Html:
    """Layers of a delivery as they are: form, rows, CRS, what they seem to be, and what stands against reading them."""
    names = ("file", "form", "rows", "crs", "seems", "wrong")
    headers: list[tuple[object, str]] = [
        (t(f"delivery.column.{name}", lang), "row" if name == "file" else "") for name in names
    ]
    lines: list[list[object]] = [
        [
            mark(one.name),
            mark(one.form),
            exempt(one.count) if one.count >= 0 else "—",
            exempt(one.crs or "—"),
            mark(" ".join(filter(None, (one.guess.code, one.guess.name_zh))) or "—"),
            mark("; ".join((*one.problems, *one.notes)) or "—"),
        ]
        for one in found
    ]
    return table(headers, lines, caption=t("delivery.caption_found", lang), lang=lang, css="delivery")


def taken_table(outcomes: Sequence[Outcome], lang: str) -> Html:
    """What each layer became: rows kept, fields taken by their national names, findings; or why it was left."""
    names = ("file", "taken", "rows", "fields", "findings")
    headers: list[tuple[object, str]] = [
        (t(f"delivery.column.{name}", lang), "row" if name == "file" else "") for name in names
    ]
    lines: list[list[object]] = []
    for one in outcomes:
        done = one.delivered
        if done is None:
            lines.append(
                [
                    mark(one.found.name),
                    t("delivery.left", lang),
                    "—",
                    "—",
                    mark(word("delivery_why", one.problem, lang)),
                ]
            )
            continue
        fields = ", ".join(f"{standard} = {name}" for standard, name in done.known.items())
        findings = [
            mark(item.message_en if lang == "en" else item.message_zh) for item in done.written.findings
        ]
        rows = t("delivery.rows_of", lang, rows=exempt(done.written.rows), read=exempt(done.written.read))
        lines.append(
            [
                mark(one.found.name),
                role_label(one.role, lang),
                rows,
                mark(fields),
                join(findings, "<br>") or "—",
            ]
        )
    return table(headers, lines, caption=t("delivery.caption_taken", lang), lang=lang, css="delivery")
