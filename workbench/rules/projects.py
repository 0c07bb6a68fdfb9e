"""The chain of a construction project: 预审 → 农转用 → 供地 → 规划许可 → 施工 → 核实, where each stands and why it is stuck."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from workbench.core.errors import DataQualityError, ParameterError

CHAIN = ("预审", "农转用", "供地", "规划许可", "施工", "核实")
"""Stages in order; each is a kind of permit."""
TEMPORARY = "临时用地"
LIMIT_DAYS: dict[str, int] = {
    "": 365,
    "预审": 1095,
    "农转用": 730,
    "供地": 365,
    "规划许可": 365,
    "施工": 1095,
}
"""Days a project may rest in a stage before it counts as stuck; start values from memory, for the bureau to set.

预审 holds three years; land converted is to be supplied within two; construction is to begin within one year of supply.
"""
COLUMNS = ["project_code", "name", "stage", "since", "next_stage", "days_in_stage", "stuck", "reason"]
_DAY = "datetime64[D]"


def project_chain(
    projects: pd.DataFrame,
    permits: pd.DataFrame,
    on_date: pd.Timestamp,
    *,
    limits: Mapping[str, int] = LIMIT_DAYS,
) -> pd.DataFrame:
    """Where each project stands on a day.

    Parameters
    ----------
    projects : DataFrame
        ``project_code``, and ``name, stage, start_date`` where known.
    permits : DataFrame
        ``project_code, kind, approved, ended``; those approved after the day are not known yet.
    on_date : Timestamp
        The day asked.
    limits : mapping of stage to days
        Longer rests are stuck; a stage that is not listed has no limit.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`, ordered by ``project_code``. ``stage`` is the furthest one reached (empty: none),
        ``since`` the day of its first approval, ``days_in_stage`` from then (or the start date) on. ``stuck``: the approval of the
        stage has ended, or the rest is longer than the limit, and the next stage is not reached. ``reason`` says why,
        and names skipped stages, approvals in the wrong order and a registered stage that the permits do not bear out;
        projects that only permits know are listed as well.

    Raises
    ------
    DataQualityError
        A project code appears twice.
    ParameterError
        A limit is negative or for an unknown stage, or the day is missing.
    """
    if pd.isna(on_date) or (bad := [k for k, v in limits.items() if v < 0 or k not in ("", *CHAIN)]):
        raise ParameterError("unusable day or limit", found=on_date if pd.isna(on_date) else bad)
    today = np.datetime64(pd.Timestamp(on_date), "D")
    table = _register(projects, permits)
    first, last_end, undated = _stages(permits, table.index, today)
    reached = ~np.isnat(first)
    at = np.where(
        reached[:, : len(CHAIN)].any(axis=1),
        len(CHAIN) - 1 - reached[:, len(CHAIN) - 1 :: -1].argmax(axis=1),
        -1,
    )
    rows = np.arange(len(table))
    temporary = (at < 0) & reached[:, -1]
    column = np.where(temporary, len(CHAIN), np.maximum(at, 0))
    since = np.where((at >= 0) | temporary, first[rows, column], table["start_date"].to_numpy(_DAY))
    names = np.array([*CHAIN, TEMPORARY, ""], dtype=object)
    stage = names[np.where((at < 0) & ~temporary, len(CHAIN) + 1, column)]
    following = np.array([*CHAIN, "", ""], dtype=object)[np.where(temporary, len(CHAIN), at + 1)]
    days = np.where(np.isnat(since), np.nan, (today - since).astype("timedelta64[D]").astype(float))
    end = last_end[rows, column]
    open_ = (following != "") | temporary
    expired = open_ & ((at >= 0) | temporary) & ~np.isnat(end) & (end <= today)
    allowed = np.array([limits.get(one, np.inf) for one in stage])
    overdue = open_ & ~temporary & ~expired & (days > allowed)
    found = pd.DataFrame(
        {
            "project_code": table.index.to_numpy(object),
            "name": table["name"].to_numpy(object),
            "stage": stage,
            "since": pd.to_datetime(since),
            "next_stage": following,
            "days_in_stage": days,
            "stuck": expired | overdue,
        }
    )
    found["reason"] = [
        "；".join(_reasons(*row))
        for row in zip(
            stage,
            following,
            expired,
            overdue,
            undated,
            list(first),
            table["known"],
            table["stage"],
            strict=True,
        )
    ]
    return found[COLUMNS]


def _register(projects: pd.DataFrame, permits: pd.DataFrame) -> pd.DataFrame:
    """Projects by code, with those that only permits name."""
    codes = projects["project_code"].fillna("").astype(str)
    twice = sorted(set(codes[codes.duplicated() & (codes != "")]))
    if twice:
        raise DataQualityError("project codes appear twice", where="projects", found=twice[:5])
    table = pd.DataFrame({"project_code": codes.to_numpy(object), "known": True})
    for name, empty in (("name", ""), ("stage", ""), ("start_date", pd.NaT)):
        table[name] = projects[name].to_numpy() if name in projects else empty
    table["start_date"] = pd.to_datetime(table["start_date"])
    for name in ("name", "stage"):
        table[name] = table[name].fillna("").astype(str)
    table = table[table["project_code"] != ""].set_index("project_code")
    in_chain = permits["kind"].isin([*CHAIN, TEMPORARY])
    other = set(permits.loc[in_chain, "project_code"].fillna("").astype(str)) - set(table.index) - {""}
    if other:
        extra = pd.DataFrame(
            {"known": False, "name": "", "stage": "", "start_date": pd.NaT}, index=pd.Index(sorted(other))
        )
        table = extra if table.empty else pd.concat([table, extra])
    return table.sort_index()


def _stages(
    permits: pd.DataFrame, codes: pd.Index[str], today: np.datetime64
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """First approval and last end of each stage (columns: the chain, then 临时用地) and whether a permit lacks its day."""
    kinds = {name: at for at, name in enumerate((*CHAIN, TEMPORARY))}
    first = np.full((len(codes), len(kinds)), np.datetime64("NaT"), dtype=_DAY)
    end = first.copy()
    row = codes.get_indexer(pd.Index(permits["project_code"].fillna("").astype(str)))
    column = permits["kind"].map(kinds).fillna(-1).to_numpy(dtype=int)
    approved = pd.to_datetime(permits["approved"]).to_numpy(_DAY)
    ended = pd.to_datetime(permits["ended"]).to_numpy(_DAY)
    ours = (row >= 0) & (column >= 0)
    undated = np.bincount(row[ours & np.isnat(approved)], minlength=len(codes)) > 0
    use = ours & ~np.isnat(approved) & (approved <= today)
    table = pd.DataFrame(
        {"row": row[use], "column": column[use], "approved": approved[use], "ended": ended[use]}
    )
    groups = table.groupby(["row", "column"])
    begun = groups["approved"].min().reset_index()
    first[begun["row"], begun["column"]] = begun["approved"].to_numpy(_DAY)
    closed = (
        groups["ended"].agg(lambda days: days.max(skipna=False)).reset_index()
    )  # one without end holds on
    end[closed["row"], closed["column"]] = pd.to_datetime(closed["ended"]).to_numpy(_DAY)
    return first, end, undated


def out_of_order(first: np.ndarray) -> list[tuple[str, str]]:  # type: ignore[type-arg]
    """Pairs (later stage, earlier stage) of which the later stage was approved before the earlier one.

    >>> out_of_order(np.array(["2024-03-01", "2024-02-01", "NaT", "2024-05-01"], dtype="datetime64[D]"))
    [('农转用', '预审')]
    """
    there = [at for at in range(min(len(CHAIN), len(first))) if not np.isnat(first[at])]
    return [(CHAIN[b], CHAIN[a]) for a, b in pairwise(there) if first[b] < first[a]]


def _reasons(
    stage: str,
    following: str,
    expired: bool,
    overdue: bool,
    undated: bool,
    first: np.ndarray,
    known: bool,
    stated: str,  # type: ignore[type-arg]
) -> list[str]:
    """Why a project is stuck, and what is wrong with its papers."""
    found = []
    if not stage:
        found.append("无任何批准记录")
    if expired:
        found.append(f"{stage}已到期，未取得{following}" if following else f"{stage}已到期")
    if overdue:
        found.append(f"{stage}停留超过期限，未取得{following}" if stage else "超过期限未启动审批")
    if stage in CHAIN:
        skipped = [one for at, one in enumerate(CHAIN[: CHAIN.index(stage)]) if np.isnat(first[at])]
        if skipped:
            found.append(f"缺少{'、'.join(skipped)}")
    found += [f"{later}早于{earlier}" for later, earlier in out_of_order(first)]
    if undated:
        found.append("批准日期缺失")
    if not known:
        found.append("项目库中无此项目")
    elif stated and stated != stage:
        found.append(f"登记阶段为{stated}")
    return found
