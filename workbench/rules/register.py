"""The case register of a city: every case ever found, where it stands, and each step of it with person and date.

A case is known by its space code. Status goes 发现 → 核查 → 整改 → 销号, forward only; each change is a row of the history.
Runs of the rules tell which cases are new, still there or gone; persons tell what is true. Neither changes a shape or an
area that is registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from workbench.core.errors import DataQualityError, ParameterError
from workbench.core.paths import atomic_write, built_data_dir
from workbench.core.quarters import bounds
from workbench.operators.guards import same_crs
from workbench.rules.shapes import shared
from workbench.rules.space_code import is_valid, read_code

STATUSES = ("发现", "核查", "整改", "销号")
"""Statuses of a case in order."""
VERDICTS = ("属实", "误判", "合法", "无法认定")
"""What a check can find: true, false change, lawful, cannot be told."""
SETTLING = ("误判", "合法")
"""Verdicts that close a case without measures."""
PAPER = (
    "finding_id", "rule", "level", "permit_state", "permit_ids", "permit_end", "project_code", "unit_no",
    "supervision_no", "patch_id",
)  # fmt: skip
"""Columns that a later run may bring up to date."""
FIXED = (
    "line", "district", "unit_code", "before", "after", "date_before", "date_after", "area_m2", "share", "width_m",
    "source",
)  # fmt: skip
"""Columns that stay as they were when the case was found."""
OWN = ("found_on", "last_seen", "listed", "status", "status_on", "verdict", "person", "note", "activity_type")
COLUMNS = ["space_code", *PAPER, *FIXED, *OWN, "geometry"]
"""Columns of the register."""
HISTORY = ["space_code", "on_date", "event", "from_status", "to_status", "person", "verdict", "note"]
"""Columns of the history. Events: 发现, 不再列出, 再次列出, 重新测定, 审批变化, 状态, 补充."""
DATES = ("permit_end", "date_before", "date_after", "found_on", "last_seen", "status_on")
NUMBERS = ("area_m2", "share", "width_m")
DETECTED = "detected"
"""Source of cases that interpretation found in images, beside those of surveys and of the bureau's own change patches."""
SAME_PLACE = 0.5
"""Share of the larger of two shapes that they have in common from which they are one case."""


def _empty(crs: Any) -> gpd.GeoDataFrame:
    return _typed(gpd.GeoDataFrame({name: [] for name in COLUMNS[:-1]}, geometry=[], crs=crs))


def _typed(cases: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Cases with the types of the register."""
    cases = cases[COLUMNS].reset_index(drop=True)
    for name in COLUMNS[:-1]:
        if name in DATES:
            cases[name] = pd.to_datetime(cases[name]).astype("datetime64[ms]")
        elif name in NUMBERS:
            cases[name] = pd.to_numeric(cases[name]).astype("float64")
        elif name == "level":
            cases[name] = cases[name].astype("int64")
        elif name == "listed":
            cases[name] = cases[name].astype(bool)
        else:
            cases[name] = cases[name].where(cases[name].notna(), "").astype(str)
    return cases


def _day(value: Any) -> pd.Timestamp:
    """Day of a date or a text.

    Raises
    ------
    ParameterError
        When it is no date.
    """
    try:
        day = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise ParameterError("not a date", found=value, expected="2025-12-31") from error
    if pd.isna(day):
        raise ParameterError("a date is missing", expected="2025-12-31")
    return day.tz_localize(None).normalize()


class Register:
    """Cases of a city and their history; made by :meth:`open`."""

    def __init__(self, path: Path, cases: gpd.GeoDataFrame, history: pd.DataFrame) -> None:
        self.path = path
        """The GPKG file, layers ``cases`` and ``history``."""
        self.cases = cases
        """Columns :data:`COLUMNS`, in the order found."""
        self.history = history
        """Columns :data:`HISTORY`, oldest first."""

    @classmethod
    def open(cls, city: Any, *, path: Path | None = None) -> Register:
        """Register of a city, empty when there is none yet.

        Parameters
        ----------
        city : City
            Profile; its ``name`` and ``crs`` are used.
        path : Path, optional
            Another file than ``data/<city>/cases.gpkg``.

        Raises
        ------
        DataQualityError
            When the file is no register or lies in another CRS.
        """
        file = path or built_data_dir() / city.name / "cases.gpkg"
        if not file.exists():
            blank = pd.DataFrame({name: pd.Series(dtype="object") for name in HISTORY})
            return cls(file, _empty(city.crs), blank.astype({"on_date": "datetime64[ms]"}))
        layers = set(pyogrio.list_layers(file)[:, 0])
        if not {"cases", "history"} <= layers:
            raise DataQualityError(
                "the file is no case register",
                where=file.name,
                found=sorted(layers),
                expected="cases, history",
            )
        cases = gpd.read_file(file, layer="cases")
        history = pyogrio.read_dataframe(file, layer="history", read_geometry=False)
        if missing := sorted((set(COLUMNS) - set(cases)) | (set(HISTORY) - set(history))):
            raise DataQualityError("columns of the register are missing", where=file.name, found=missing)
        history["on_date"] = pd.to_datetime(history["on_date"]).astype("datetime64[ms]")
        text = [name for name in HISTORY if name != "on_date"]
        history[text] = history[text].fillna("").astype(str)
        if len(cases):
            same_crs(cases, gpd.GeoSeries([], crs=city.crs))
        return cls(file, _typed(cases.set_crs(city.crs, allow_override=True)), history[HISTORY])

    def save(self) -> Path:
        """Write the register; the file is replaced whole or not at all."""
        with atomic_write(self.path) as temporary:
            temporary.unlink()
            pyogrio.write_dataframe(
                self.cases, temporary, layer="cases", driver="GPKG", promote_to_multi=True
            )
            pyogrio.write_dataframe(self.history, temporary, layer="history", driver="GPKG", append=True)
        return self.path

    # ------------------------------------------------------------------ runs of the rules

    def update(
        self, findings: gpd.GeoDataFrame, on_date: Any, *, year: int | None = None, detected: bool = False
    ) -> dict[str, int]:
        """Take in the findings of a run: new cases, those still there, those gone. Saved at once.

        A finding with another code whose shape lies for at least half on a case of the same line and year is that
        case, measured anew. Status and verdict stay as they are.

        Parameters
        ----------
        findings : GeoDataFrame
            Findings of :func:`workbench.rules.evaluate.evaluate`, or cases; rows without space code are passed over.
        on_date : date
            Day of the run, not before that of the last one.
        year : int, optional
            Year of the checkup: cases of this year that are not in the findings are gone. The years of the findings
            when not given.
        detected : bool
            The cases are those found in images (source :data:`DETECTED`): only such ones can be gone. Without it only others.

        Returns
        -------
        dict
            Number of ``new``, ``still``, ``back``, ``gone`` cases.

        Raises
        ------
        DataQualityError
            A space code is wrong or appears twice, or the run is older than the last one.
        CRSError
            The findings lie in another CRS.
        """
        day = _day(on_date)
        rows = self._usable(findings)
        last = self.cases["last_seen"].max()
        if pd.notna(last) and day < last:
            raise DataQualityError(
                "the run is older than the last one", found=day.date(), expected=f"{last.date()} or later"
            )
        years = set(rows["space_code"].str[2:6]) | ({f"{year:04d}"} if year is not None else set())
        of_year = self.cases["space_code"].str[2:6].isin(years).to_numpy()
        of_year &= (self.cases["source"] == DETECTED).to_numpy() == detected
        at, moved = self._matched(rows, of_year)
        known = at >= 0
        counts = {"new": int((~known).sum()), "still": 0, "back": 0, "gone": 0}
        events: list[dict[str, Any]] = []
        for k in np.flatnonzero(known):
            back = self._still(int(at[k]), rows.iloc[k], day, moved=bool(moved[k]), events=events)
            counts["back" if back else "still"] += 1
        gone = of_year & ~np.isin(np.arange(len(self.cases)), at[known]) & self.cases["listed"].to_numpy()
        counts["gone"] = int(gone.sum())
        for code in self.cases.loc[gone, "space_code"]:
            events.append({"space_code": code, "on_date": day, "event": "不再列出"})
        self.cases.loc[gone, "listed"] = False
        events += self._add(rows[~known], day)
        self._log(events)
        self.save()
        return counts

    def _usable(self, findings: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Rows that have a space code, checked."""
        if "space_code" not in findings:
            raise ParameterError("the findings have no space codes", found=list(map(str, findings.columns)))
        rows = findings[findings["space_code"].fillna("") != ""]
        if bad := [code for code in rows["space_code"] if not is_valid(str(code))]:
            raise DataQualityError("wrong space codes in the findings", found=bad[:3])
        if twice := sorted(set(rows.loc[rows["space_code"].duplicated(), "space_code"])):
            raise DataQualityError("space codes appear twice in the findings", found=twice[:3])
        if len(rows):
            same_crs(rows, self.cases)
        return gpd.GeoDataFrame(rows, geometry="geometry", crs=self.cases.crs).reset_index(drop=True)

    def _matched(self, rows: gpd.GeoDataFrame, of_year: Any) -> tuple[Any, Any]:
        """For each finding the row of its case (-1: none), and whether it was told by its shape."""
        at = pd.Index(self.cases["space_code"]).get_indexer(pd.Index(rows["space_code"]))
        moved = np.zeros(len(rows), dtype=bool)
        free = np.flatnonzero(of_year & ~np.isin(np.arange(len(self.cases)), at))
        lost = np.flatnonzero(at < 0)
        if not len(free) or not len(lost):
            return at, moved
        new, old = rows.geometry.to_numpy()[lost], self.cases.geometry.to_numpy()[free]
        i, j, pieces, _ = shared(new, old)
        share = shapely.area(pieces) / np.maximum(shapely.area(new)[i], shapely.area(old)[j])
        line = rows["line"].to_numpy()[lost[i]] == self.cases["line"].to_numpy()[free[j]]
        good = (share >= SAME_PLACE) & line
        for k in np.argsort(-share[good], kind="stable"):
            a, b = lost[i[good][k]], free[j[good][k]]
            if at[a] < 0 and b not in at:
                at[a], moved[a] = b, True
        return at, moved

    def _still(
        self, at: int, row: pd.Series[Any], day: pd.Timestamp, *, moved: bool, events: list[dict[str, Any]]
    ) -> bool:
        """Bring a known case up to date; return whether it had been gone."""
        code, back = self.cases.at[at, "space_code"], not self.cases.at[at, "listed"]
        common = {"space_code": code, "on_date": day}
        if back:
            events.append({**common, "event": "再次列出"})
        if moved and f"{row['area_m2']:.0f}" not in self._last_note(code, "重新测定"):
            events.append(
                {**common, "event": "重新测定", "note": f"{row['space_code']} {row['area_m2']:.0f}"}
            )
        was, now = str(self.cases.at[at, "permit_state"]), str(row["permit_state"])
        if was != now:
            events.append({**common, "event": "审批变化", "note": f"{was} → {now}"})
        for name in PAPER:
            if name in row.index:
                value = row[name]
                self.cases.at[at, name] = ("" if pd.isna(value) else value) if name not in DATES else value
        if not self.cases.at[at, "activity_type"] and str(row.get("activity_type") or ""):
            self.cases.at[at, "activity_type"] = str(row["activity_type"])
        self.cases.at[at, "listed"], self.cases.at[at, "last_seen"] = True, day
        return back

    def _last_note(self, code: str, event: str) -> str:
        rows = self.history[(self.history["space_code"] == code) & (self.history["event"] == event)]
        return str(rows["note"].iloc[-1]) if len(rows) else ""

    def _add(self, rows: gpd.GeoDataFrame, day: pd.Timestamp) -> list[dict[str, Any]]:
        """Append new cases; return their events."""
        if rows.empty:
            return []
        frame = rows.copy()
        for name in COLUMNS[:-1]:
            if name not in frame:
                frame[name] = pd.NaT if name in DATES else np.nan if name in NUMBERS else ""
        frame = frame.assign(
            found_on=day, last_seen=day, listed=True, status=STATUSES[0], status_on=day, verdict="", person="", note=""
        )  # fmt: skip
        frame = _typed(frame)
        self.cases = frame if self.cases.empty else _typed(pd.concat([self.cases, frame], ignore_index=True))
        return [
            {"space_code": code, "on_date": day, "event": "发现", "to_status": STATUSES[0]}
            for code in frame["space_code"]
        ]

    def _log(self, events: list[dict[str, Any]]) -> None:
        if not events:
            return
        rows = pd.DataFrame(events).reindex(columns=HISTORY)
        rows["on_date"] = pd.to_datetime(rows["on_date"]).astype("datetime64[ms]")
        rows = rows.fillna({name: "" for name in HISTORY if name != "on_date"})
        self.history = rows if self.history.empty else pd.concat([self.history, rows], ignore_index=True)

    # ------------------------------------------------------------------ persons

    def step(
        self,
        space_code: str,
        status: str,
        *,
        person: str,
        on_date: Any,
        verdict: str = "",
        note: str = "",
        activity_type: str = "",
    ) -> None:
        """Record what a person found: a further status, a verdict, an activity. Not saved by itself.

        Steps that lie between are written to the history with the same person and day. The caller has checked the
        values, see :func:`workbench.rules.verdicts.check_row`.

        Raises
        ------
        DataQualityError
            Unknown code, or a status that goes backwards.
        """
        found = np.flatnonzero(self.cases["space_code"].to_numpy() == space_code)
        if not len(found):
            raise DataQualityError("no such case in the register", found=space_code)
        at, day = int(found[0]), _day(on_date)
        old = STATUSES.index(str(self.cases.at[at, "status"]))
        new = STATUSES.index(status)
        if new < old:
            raise DataQualityError("a status goes backwards", found=status, expected=STATUSES[old])
        common = {
            "space_code": space_code,
            "on_date": day,
            "person": person,
            "verdict": verdict,
            "note": note,
        }
        way = list(range(old + 1, new + 1))
        if verdict in SETTLING and STATUSES.index("整改") in way:
            way.remove(STATUSES.index("整改"))
        events, before = [], old
        for step in way:
            events.append(
                {**common, "event": "状态", "from_status": STATUSES[before], "to_status": STATUSES[step]}
            )
            before = step
        if not events:
            events.append({**common, "event": "补充"})
        self._log(events)
        values = {"verdict": verdict, "person": person, "note": note, "activity_type": activity_type}
        for name, value in values.items():
            if value:
                self.cases.at[at, name] = value
        if new > old:
            self.cases.at[at, "status"], self.cases.at[at, "status_on"] = status, day

    def activities(self) -> dict[str, str]:
        """Activity of each case for which one is known, by space code."""
        some = self.cases[self.cases["activity_type"] != ""]
        return dict(zip(some["space_code"], some["activity_type"], strict=True))

    def export(self, path: Path | str, *, districts: Mapping[str, str] | None = None) -> Path:
        """Write the register as a list for the field (.xlsx or .gpkg), see :func:`workbench.rules.verdicts.export`."""
        from workbench.rules.verdicts import export

        return export(self, Path(path), districts=districts)

    def take(self, path: Path | str, *, on_date: Any = None) -> pd.DataFrame:
        """Read verdicts from a list that came back, see :func:`workbench.rules.verdicts.take`."""
        from workbench.rules.verdicts import take

        return take(self, Path(path), on_date=on_date)

    # ------------------------------------------------------------------ looking

    def table(self, on_date: Any) -> gpd.GeoDataFrame:
        """Cases known on a day, with the status they had then.

        Returns
        -------
        GeoDataFrame
            The register's columns and ``year`` and ``age_days``: from found to closed, or to the day asked while open.
        """
        day = _day(on_date)
        cases = self.cases[self.cases["found_on"] <= day].copy()
        steps = self.history[(self.history["to_status"] != "") & (self.history["on_date"] <= day)]
        last = steps.drop_duplicates("space_code", keep="last").set_index("space_code")
        codes = cases["space_code"]
        cases["status"] = codes.map(last["to_status"]).fillna(STATUSES[0])
        cases["status_on"] = codes.map(last["on_date"])
        for name in ("verdict", "person", "note"):
            said = self.history[(self.history[name] != "") & (self.history["on_date"] <= day)]
            latest = said.drop_duplicates("space_code", keep="last").set_index("space_code")[name]
            cases[name] = codes.map(latest).fillna("")
        end = cases["status_on"].where(cases["status"] == STATUSES[-1], day)
        cases["age_days"] = (end - cases["found_on"]).dt.days
        cases["year"] = [read_code(code).year for code in codes]
        return cases.reset_index(drop=True)

    def rates(self, year: int, quarter: int = 0) -> pd.DataFrame:
        """How the cases of a year, or of a quarter of it, were dealt with, by line and for all.

        Parameters
        ----------
        year : int
            Calendar year.
        quarter : int
            1 to 4; 0 for the whole year.

        Returns
        -------
        DataFrame
            ``line, open_start, found, checked, rectified, closed, open_end, closing_rate, median_age_days``:
            ``checked``, ``rectified``, ``closed`` count cases that reached the status in the year; the rate is closed
            by (open at the start + found), missing when that is nothing; the age is that of the cases open at the end.
        """
        start, end = bounds(year, quarter)
        steps = self.history[(self.history["on_date"] >= start) & (self.history["on_date"] <= end)]
        before, now = self.table(start - pd.Timedelta(days=1)), self.table(end)
        rows = []
        for line in ["all", *sorted(set(self.cases["line"]))]:
            codes = set(self.cases.loc[(self.cases["line"] == line) | (line == "all"), "space_code"])

            def reached(status: str, codes: set[str] = codes) -> int:
                return len(set(steps.loc[steps["to_status"] == status, "space_code"]) & codes)

            open_start = before[before["space_code"].isin(codes) & (before["status"] != STATUSES[-1])]
            open_end = now[now["space_code"].isin(codes) & (now["status"] != STATUSES[-1])]
            found, closed = reached("发现"), reached("销号")
            total = len(open_start) + found
            rows.append(
                {
                    "line": line,
                    "open_start": len(open_start),
                    "found": found,
                    "checked": reached("核查"),
                    "rectified": reached("整改"),
                    "closed": closed,
                    "open_end": len(open_end),
                    "closing_rate": closed / total if total else np.nan,
                    "median_age_days": float(open_end["age_days"].median()) if len(open_end) else np.nan,
                }
            )
        return pd.DataFrame(rows)
