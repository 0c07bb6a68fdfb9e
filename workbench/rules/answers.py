"""One verdict given at a screen, recorded by the checks a list that comes back from the field is put through."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.rules.register import STATUSES, Register
from workbench.rules.verdicts import FIELDS, NEXT, PROBLEMS, check_row


def record(
    register: Register,
    space_code: str,
    verdict: str,
    *,
    person: str,
    on_date: Any,
    note: str = "",
    status: str = "",
) -> list[str]:
    """Record what a person found of one case. Saved at once.

    Parameters
    ----------
    register : Register
        The city's register.
    space_code : str
        The case.
    verdict : str
        One of :data:`workbench.rules.register.VERDICTS`.
    person, on_date : str, date
        Who checked, and when.
    note : str
        Remark.
    status : str
        Further status; when not given the first in which there is a verdict, or what the case has already.

    Returns
    -------
    list of str
        Problems in Chinese with what to do; empty when it was recorded, or says nothing new.
    """
    rows = register.cases[register.cases["space_code"] == space_code]
    if rows.empty:
        return [_told("KJM", "unknown_code", space_code)]
    case = rows.iloc[0]
    day = "" if on_date is None or pd.isna(on_date) else str(on_date)
    row = {"KJM": space_code, "HCJL": verdict, "HCR": person, "HCRQ": day, "BZ": note, "HDLX": ""}
    row["ZT"] = status or (STATUSES[1] if case["status"] == STATUSES[0] else str(case["status"]))
    found = check_row(row, case, None)
    now = (str(case["status"]), str(case["verdict"]), str(case["note"]))
    if not found and (row["ZT"], verdict, note or now[2]) != now:
        register.step(space_code, row["ZT"], person=person, on_date=on_date, verdict=verdict, note=note)
        register.save()
    return [_told(field, problem, value) for field, problem, value, _ in found]


def _told(field: str, problem: str, value: object) -> str:
    """Field, problem and next step in one sentence."""
    seen = f"（填的是“{value}”）" if str(value) else ""
    return (
        f"{FIELDS.get(field, field)}：{PROBLEMS[problem][1]}{seen}；{NEXT.get(problem, ('请补填', ''))[0]}。"
    )
