"""Tables of the demo city: journeys inside it and to other cities, and the statistics of every year."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.samples.space import YEARS, Array, stream

OTHER_CITIES = {"990200": (62, 1.00), "990300": (95, 0.62), "990400": (118, 0.44), "990500": (150, 0.21),
                "980100": (205, 0.30), "970100": (390, 0.12)}  # fmt: skip
"""Other cities by code: minutes of travel and pull."""


def _outside(rng: np.random.Generator, year: int, people: Array, codes: Array) -> pd.DataFrame:
    """Daily trips between planning units and other cities, both ways."""
    rows = []
    grown = 1 + 0.045 * (year - YEARS[0]) - (0.10 if year == 2024 else 0.0)
    for city, (minutes, pull) in OTHER_CITIES.items():
        for way in (0, 1):
            trips = np.round(0.021 * grown * pull * people**1.03 * rng.lognormal(0, 0.18, len(people)))
            time = np.round(minutes + rng.normal(0, 6, len(people)), 1)
            for k in np.flatnonzero(trips > 0):
                ends = (str(codes[k]), city) if way == 0 else (city, str(codes[k]))
                rows.append((*ends, int(trips[k]), float(time[k])))
    return pd.DataFrame(rows, columns=["origin", "destination", "people", "minutes"])


def make_flows(seed: int, year: int, people: Array, place: Array, codes: Array) -> pd.DataFrame:
    """Daily trips of a year: commuters between planning units by a gravity rule, and trips from and to other cities.

    Columns origin, destination (codes), people and minutes; codes of other cities do not begin like those of the units.
    """
    rng = stream(seed, f"flows.{year}")
    jobs = people**1.12 * rng.lognormal(0, 0.25, len(people))
    distance = np.hypot(*(place[:, None] - place[None]).T).T + 600
    pull = jobs[None, :] * distance**-1.15 * rng.lognormal(0, 0.15, distance.shape)
    flow = np.round(0.47 * people[:, None] * pull / pull.sum(axis=1, keepdims=True)).astype(np.int64)
    minutes = np.round(11 + distance / 1000 * 4.6 * rng.lognormal(0, 0.10, distance.shape), 1)
    row, column = np.nonzero(flow)
    inner = pd.DataFrame(
        {
            "origin": codes[row],
            "destination": codes[column],
            "people": flow[row, column],
            "minutes": minutes[row, column],
        }
    )
    return pd.concat([inner, _outside(rng, year, people, codes)], ignore_index=True)


def _shared(rng: np.random.Generator, weight: Array, spread: float) -> Array:
    """Weights by year and district, each district with a lasting departure of its own and a little drift."""
    years, districts = weight.shape
    own = rng.normal(0, spread, districts)
    drift = np.cumsum(rng.normal(0, spread * 0.06, (years, districts)), axis=0)
    departed: Array = weight * np.exp(own + drift)
    return departed


def _split(total: Array, weight: Array) -> Array:
    """The city's figure of each year shared out to the districts by weight."""
    parts: Array = total[:, None] * weight / weight.sum(axis=1, keepdims=True)
    return parts


def make_statistics(seed: int, people: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Statistics of every year from 2014 to 2025, city and districts: item, year, zone, value, unit, edition.

    Parameters
    ----------
    seed : int
    people : dict of year to DataFrame
        Index district code; columns population, urban, age_60; the years of YEARS.
    """
    rng = stream(seed, "statistics")
    years = np.arange(YEARS[0], YEARS[-1] + 1)
    districts = people[YEARS[0]].index

    def series(column: str) -> Array:
        known = np.array([people[year][column].to_numpy(dtype=float) for year in YEARS])
        return np.array([np.interp(years, YEARS, known[:, k]) for k in range(len(districts))]).T.round()

    total, urban, elders = series("population"), series("urban"), series("age_60")
    past = years - YEARS[0]
    growth = np.cumprod(np.r_[1.0, 1 + rng.uniform(0.038, 0.062, len(years) - 1)])
    dip = np.where(years == 2020, 0.96, 1.0) * np.where(years == 2022, 0.975, 1.0)
    town = urban / total
    head = total.sum(axis=1)
    gdp = _split(head / 1e4 * 5.9 * growth * dip, _shared(rng, total * (0.45 + 0.75 * town), 0.20))
    wet = total * (1.25 - 0.35 * town)  # irrigation and rural supply weigh on the counties
    labs = gdp * np.exp(1.1 * (town - town.mean(axis=1, keepdims=True)))
    rail = np.where(years == 2020, 0.55, np.where(years == 2021, 0.68, np.where(years == 2022, 0.5, 1.0)))
    city = {
        "rd_1e8_cny": gdp.sum(axis=1) * (0.017 + 0.0009 * past),
        "beds_medical": head / 1000 * (5.1 + 0.13 * past),
        "beds_elderly": elders.sum(axis=1) / 1000 * (22 + 1.0 * past),
        "water_use_1e8_m3": head * (268 - 2.6 * past + rng.normal(0, 1.5, len(years))) / 1e8,
        "patents": head / 1e4 * (6 + 1.6 * past),
        "rail_passengers_1e4": head / 1e4 * 3.1 * (1 + 0.055 * past) * rail,
        "industrial_added_value_1e8_cny": gdp.sum(axis=1) * (0.345 - 0.003 * past),
        "students_higher": urban.sum(axis=1) * (0.034 + 0.0012 * past),
        "trade_1e8_cny": gdp.sum(axis=1) * 0.22 * np.where(years == 2020, 0.9, 1.0),
    }
    weights = {
        "rd_1e8_cny": _shared(rng, labs, 0.32), "beds_medical": _shared(rng, total * (0.35 + town), 0.16),
        "beds_elderly": _shared(rng, elders, 0.22), "water_use_1e8_m3": _shared(rng, wet, 0.12),
        "patents": _shared(rng, labs, 0.35), "rail_passengers_1e4": _shared(rng, total * (0.2 + town), 0.18),
        "industrial_added_value_1e8_cny": _shared(rng, gdp, 0.22), "students_higher": _shared(rng, labs, 0.6),
        "trade_1e8_cny": _shared(rng, gdp, 0.40),
    }  # fmt: skip
    units = {"rd_1e8_cny": ("1e8 CNY", 4), "beds_medical": ("bed", 0), "beds_elderly": ("bed", 0),
             "water_use_1e8_m3": ("1e8 m3", 5), "patents": ("count", 0), "rail_passengers_1e4": ("1e4 person", 2),
             "industrial_added_value_1e8_cny": ("1e8 CNY", 3), "students_higher": ("person", 0),
             "trade_1e8_cny": ("1e8 CNY", 3)}  # fmt: skip
    working = 0.56 * total.sum(axis=1)
    tables: dict[str, tuple[Array, str, int]] = {
        "population_1e4": (total / 1e4, "1e4 person", 4), "population_urban_1e4": (urban / 1e4, "1e4 person", 4),
        "population_rural_1e4": ((total - urban) / 1e4, "1e4 person", 4),
        "population_60_1e4": (elders / 1e4, "1e4 person", 4), "gdp_1e8_cny": (gdp, "1e8 CNY", 3),
        "employed_1e4": (_split(working / 1e4, _shared(rng, total, 0.05)), "1e4 person", 4),
    }  # fmt: skip
    for item, (unit, digits) in units.items():
        tables[item] = (_split(city[item], weights[item]), unit, digits)
    return _rows(tables, years, [str(code) for code in districts])


def _rows(tables: dict[str, tuple[Array, str, int]], years: Array, districts: list[str]) -> pd.DataFrame:
    """Tables by year and district as rows, the city the sum of its districts."""
    rows: list[tuple[str, int, str, float, str, str]] = []
    for item, (raw, unit, digits) in tables.items():
        values = np.round(raw, digits)
        for at, year in enumerate(years):
            rows += [
                (item, int(year), code, float(values[at, k]), unit, "original")
                for k, code in enumerate(districts)
            ]
            rows.append((item, int(year), "city", round(float(values[at].sum()), digits), unit, "original"))
    frame = pd.DataFrame(rows, columns=["item", "year", "zone", "value", "unit", "edition"])
    return pd.concat([frame, _revised(frame)], ignore_index=True)


def _revised(frame: pd.DataFrame) -> pd.DataFrame:
    """Output of 2024 after the economic census: each district a little more, the city their sum."""
    rows = frame[(frame["item"] == "gdp_1e8_cny") & (frame["year"] == 2024)].copy()
    parts = rows["zone"] != "city"
    rows["value"] = (rows["value"] * 1.012).round(3)
    rows.loc[~parts, "value"] = round(float(rows.loc[parts, "value"].sum()), 3)
    return rows.assign(edition="revised")
