"""Inputs of values as they are now, and which values are stale because an input is no longer what it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from workbench.core.errors import LayerMissing, ParameterError
from workbench.core.lineage import ABSENT, DIGITS, layer_of, unpack
from workbench.core.paths import PACKAGE
from workbench.core.provenance import sha256_file, stable_hash
from workbench.evaluation.topic_settings import settings_path
from workbench.indicators.changes import city_library
from workbench.rules.evaluate import rules_of

Inputs = dict[str, str]
TEXTS = frozenset({"targets", "words", "path", "root"})
"""Parts of a profile that decide no value, or are an input of their own."""


class States:
    """Hashes of inputs as they are now.

    Parameters
    ----------
    city : City
        Profile.
    data : CityData
        Its layers.
    year : int
        Year whose rules are in force.
    """

    def __init__(self, city: Any, data: Any, year: int) -> None:
        self.city, self.data, self.year = city, data, year
        self._known: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """Hash of an input, as :func:`workbench.core.lineage.pack` writes it."""
        if name not in self._known:
            self._known[name] = self._now(name)[:DIGITS]
        return self._known[name]

    def of(self, names: Iterable[str]) -> Inputs:
        """Inputs of these names with their hashes."""
        return {name: self[name] for name in names}

    def changed(self, made_of: str) -> Inputs:
        """Inputs of a value whose hash is another now, with the one it had."""
        return {name: then for name, then in unpack(made_of).items() if self[name] != then}

    def _now(self, name: str) -> str:
        kind, _, rest = name.partition(":")
        if kind == "definition" and rest:
            found = city_library(self.city).get(rest)
            return ABSENT if found is None else found.definition_version
        if kind == "settings" and rest:
            path = settings_path(self.city, rest, PACKAGE / "evaluation" / rest / f"{rest}.toml")
            return sha256_file(path) if path.is_file() else ABSENT
        special = {
            "profile": lambda: stable_hash(self.city.model_dump(mode="json", exclude=TEXTS)),
            "targets": lambda: stable_hash([one.model_dump(mode="json") for one in self.city.targets]),
            "rules": lambda: stable_hash([repr(one) for one in rules_of(self.city, self.year)]),
            "register": self._register,
        }
        if name in special:
            return special[name]()
        role, year, edition = layer_of(name)
        if role == "report" and year is not None:
            return self._report(year)
        try:
            sha256: str = self.data.source(role, year, edition=edition).sha256
        except LayerMissing:
            return ABSENT
        except ParameterError:  # of a layer that was not dated by year, and is now
            return "dated"
        return sha256

    def _register(self) -> str:
        from workbench.rules.register import Register

        path = Register.open(self.city).path
        return sha256_file(path) if path.exists() else ABSENT

    def _report(self, year: int) -> str:
        from workbench.core.paths import reports_dir

        path = reports_dir() / self.city.name / str(year) / "latest" / "values.parquet"
        if not path.is_file():
            return ABSENT
        columns = ["value_id", "value", "inputs_hash", "definition_version", "code_version"]
        told = pd.read_parquet(path, columns=columns).sort_values("value_id")
        return stable_hash(told.astype(str).to_numpy().tolist())


def stale(values: pd.DataFrame, made_of: pd.DataFrame, states: States) -> pd.DataFrame:
    """Values that an input behind them no longer supports.

    Parameters
    ----------
    values, made_of : DataFrame
        Value table of a run, and what its values are made of.
    states : States
        Inputs as they are now.

    Returns
    -------
    DataFrame
        ``value_id, indicator, level, zone, zone_name, year, input, then, now``: one row a value and input that changed.
    """
    known: dict[str, Inputs] = {text: states.changed(text) for text in made_of["made_of"].unique()}
    rows = [
        (id_, name, then, states[name])
        for id_, text in zip(made_of["value_id"], made_of["made_of"], strict=True)
        for name, then in known[text].items()
    ]
    found = pd.DataFrame(rows, columns=["value_id", "input", "then", "now"])
    about = values[["value_id", "indicator", "level", "zone", "zone_name", "year"]]
    return about.merge(found, on="value_id", how="inner")
