"""What the rules of one checkup are applied to, and the findings they leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from workbench.indicators.indicator import Indicator
from workbench.indicators.values import value_id
from workbench.rules import messages
from workbench.rules.kinds import Outcome
from workbench.rules.rule import Rule


@dataclass
class Context:
    """What the rules of one checkup are applied to."""

    city: Any
    """The profile."""
    year: int
    """Year of the checkup."""
    values: pd.DataFrame
    """Value table; earlier years in it serve paths and trends."""
    data: Any
    """The city's layers."""
    definitions: Mapping[str, Indicator]
    """Indicator definitions by id."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Findings so far."""

    @cached_property
    def city_rows(self) -> dict[str, dict[str, Any]]:
        """Value rows of the checkup's year for the whole city, by indicator."""
        now = self._observed[(self._observed["year"] == self.year) & (self._observed["level"] == "city")]
        return {str(row["indicator"]): row for row in now.to_dict("records")}  # type: ignore[misc]

    @cached_property
    def _observed(self) -> pd.DataFrame:
        values = self.values
        return values[
            values["scenario"].eq("observed")
            & values["edition"].eq("latest")
            & ~values["tier"].isin(["target", "derived"])
        ]

    def series(self, indicator: str) -> dict[int, float]:
        """City values of an indicator by year, the missing ones left out."""
        rows = self._observed[
            (self._observed["indicator"] == indicator) & (self._observed["level"] == "city")
        ]
        return {
            int(year): float(value)
            for year, value in zip(rows["year"], rows["value"], strict=True)
            if pd.notna(value)
        }

    def districts(self, indicator: str) -> pd.DataFrame:
        """Value rows of the year for the districts."""
        rows = self._observed
        return rows[
            (rows["indicator"] == indicator) & (rows["level"] == "district") & (rows["year"] == self.year)
        ]

    def add(
        self, rule: Rule, outcome: Outcome, row: Mapping[str, Any] | None, *, suffix: str = "", **more: Any
    ) -> None:
        """Record what a rule said about a value row; ``more`` are further columns of the finding."""
        row = row or {}
        indicator = str(row.get("indicator", ""))
        definition = self.definitions.get(indicator)
        zone = str(row.get("zone", self.city.name))
        parts = [rule.id, indicator, zone, str(self.year), suffix]
        self.rows.append(
            {
                "finding_id": "-".join(part for part in parts if part),
                "rule": rule.id,
                "kind": rule.kind,
                "level": outcome.level,
                "indicator": indicator,
                "zone_level": str(row.get("level", "city")),
                "zone": zone,
                "zone_name": str(row.get("zone_name", self.city.name_zh)),
                "year": self.year,
                "value_id": str(row.get("value_id", "")),
                "value": row.get("value", np.nan),
                "threshold": outcome.threshold,
                "margin": outcome.margin,
                "unit": str(row.get("unit", "")),
                "message_zh": messages.of_outcome(rule, outcome, definition, "zh"),
                "message_en": messages.of_outcome(rule, outcome, definition, "en"),
                "clause": rule.clause,
                **more,
            }
        )

    def add_number(
        self, rule: Rule, outcome: Outcome, value: float, unit: str, *, zone: str = "", **more: Any
    ) -> None:
        """Record a finding on a layer or a document, whose number is a value of its own: ``report.<rule>``.

        Parameters
        ----------
        rule, outcome : Rule, Outcome
            What was said, and by which rule.
        value, unit : float, str
            The number the finding is about.
        zone : str, optional
            What it is about (a permit, a project); the city when not given.
        **more
            Further columns of the finding.
        """
        name = self.city.name
        row = {
            "value": float(value),
            "unit": unit,
            "zone": zone or name,
            "zone_name": zone or self.city.name_zh,
            "value_id": value_id(name, f"report.{rule.id}", "report", zone or name, self.year),
        }
        self.add(rule, outcome, row, **more)
