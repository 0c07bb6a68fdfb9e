"""Shares of people with each kind of facility, and with whole circles, in reach: by time, mode, age group and zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.evaluation.life_circle.homes import Homes
from workbench.evaluation.life_circle.networks import MODES, Places
from workbench.evaluation.life_circle.settings import AGES, EVERYONE, Settings
from workbench.evaluation.life_circle.words import reason

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Distances = Mapping[tuple[str, str], Floats]
"""(mode or ``straight``, kind) → metres from every home."""
ALL_AGES = (EVERYONE, *AGES)


class Counter:
    """Adds people up by zone and age group."""

    def __init__(self, homes: Homes) -> None:
        self.homes = homes
        self.weights = np.column_stack([homes.people(age) for age in homes.ages])
        self.people = homes.by_zone(self.weights)

    def rows(self, **more: Any) -> pd.DataFrame:
        """Rows of all zones and age groups with their people; nan for groups that are not known."""
        zones = self.homes.zones
        parts = []
        for age in ALL_AGES:
            held = age in self.homes.ages
            people = self.people[:, self.homes.ages.index(age)] if held else np.nan
            parts.append(zones.assign(age=age, people=people, **more))
        return pd.concat(parts, ignore_index=True)

    def inside(self, within: Bools) -> Floats:
        """People within reach, in the order of :meth:`rows`."""
        sums = self.homes.by_zone(self.weights * within[:, None])
        missing = np.full(len(sums), np.nan)
        return np.concatenate(
            [sums[:, self.homes.ages.index(age)] if age in self.homes.ages else missing for age in ALL_AGES]
        )


def _shares(table: pd.DataFrame, why: str) -> pd.DataFrame:
    """Shares in percent, and why there are none."""
    people = table["people"].where(table["people"] > 0)
    for name in [one for one in ("covered", "straight", "radius") if one in table]:
        table[f"{name}_share" if name != "covered" else "share"] = 100 * table[name] / people
    if "straight_share" in table:
        table["gap"] = table["straight_share"] - table["share"]
    code = np.where(table["people"].isna(), "no_ages", np.where(table["people"] > 0, why, "no_people"))
    code = np.where(table["share"].notna(), "", code)
    table["reason"] = code
    for at, lang in ((1, "zh"), (2, "en")):
        table[f"reason_{lang}"] = [reason(one)[at] if one else "" for one in code]
    return table


def coverage(
    homes: Homes,
    places: Mapping[str, Places],
    metres: Distances,
    speed: Mapping[str, float],
    settings: Settings,
) -> pd.DataFrame:
    """People with a facility of each kind within each time, on the network and as the crow flies.

    Parameters
    ----------
    homes : Homes
        Who lives where.
    places : mapping of kind to Places
        Facilities, or why there are none.
    metres : mapping
        Distances by mode and kind.
    speed : mapping of mode to float
        Metres a minute.
    settings : Settings
        Levels.

    Returns
    -------
    DataFrame
        ``kind, minutes, own`` (the kind's own level), ``mode, level, zone, zone_name, age, people, covered, share,
        straight, straight_share, gap`` (straight less network, percentage points), ``radius, radius_share`` (service
        radius; own level on foot only), ``reason``; percent.
    """
    counter = Counter(homes)
    parts = []
    for kind, found in places.items():
        facility = found.facility
        for mode in MODES:
            for minutes in sorted({*settings.parameters.minutes, facility.minutes}):
                own = minutes == facility.minutes
                table = counter.rows(kind=kind, minutes=minutes, own=own, mode=mode)
                for name in ("covered", "straight", "radius"):
                    table[name] = np.nan
                if not found.reason and (mode, kind) in metres:
                    limit = minutes * speed[mode]
                    table["covered"] = counter.inside(metres[mode, kind] <= limit)
                    table["straight"] = counter.inside(metres["straight", kind] <= limit)
                    if own and mode == "walk":
                        table["radius"] = counter.inside(metres["straight", kind] <= facility.metres)
                parts.append(_shares(table, found.reason or "no_cycling"))
    return pd.concat(parts, ignore_index=True)


def circles(
    homes: Homes,
    places: Mapping[str, Places],
    metres: Distances,
    speed: Mapping[str, float],
    settings: Settings,
) -> pd.DataFrame:
    """People who have every kind of a circle in reach.

    Where the data lack a kind, the others are judged and the share is an upper bound (``bound = "upper"``, ``absent``
    names the kinds); where they lack all, there is no share.

    Returns
    -------
    DataFrame
        ``circle, mode, level, zone, zone_name, age, people, covered, share, bound, absent, reason``.
    """
    counter = Counter(homes)
    parts = []
    for circle in settings.circles:
        minutes = settings.minutes_of(circle)
        held = [kind for kind in minutes if not places[kind].reason]
        absent = [kind for kind in minutes if places[kind].reason]
        for mode in MODES:
            bound = "upper" if absent and held else ""
            table = counter.rows(
                circle=circle.id, mode=mode, bound=bound, absent=" ".join(absent), covered=np.nan
            )
            why = "no_kind"
            if held and all((mode, kind) in metres for kind in held):
                inside = np.logical_and.reduce(
                    [metres[mode, kind] <= minutes[kind] * speed[mode] for kind in held]
                )
                table["covered"] = counter.inside(inside)
            elif held:
                why = "no_cycling"
            parts.append(_shares(table, why))
    return pd.concat(parts, ignore_index=True)


def kinds_in_reach(
    settings: Settings, places: Mapping[str, Places], metres: Distances, speed: Mapping[str, float]
) -> dict[str, npt.NDArray[np.int64]]:
    """How many kinds of each circle every home reaches on foot."""
    found = {}
    for circle in settings.circles:
        minutes = settings.minutes_of(circle)
        reached = [
            metres["walk", kind] <= limit * speed["walk"]
            for kind, limit in minutes.items()
            if not places[kind].reason
        ]
        if reached:
            found[circle.id] = np.sum(reached, axis=0).astype(np.int64)
    return found
