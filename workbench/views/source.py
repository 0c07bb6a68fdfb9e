"""What the views need of a checkup; ``workbench.evaluation.checkup.Checkup`` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd


class CheckupView(Protocol):
    """A city, a year, its values and findings."""

    @property
    def city(self) -> Any:
        """City profile: names, CRS, layers, targets."""
        ...

    @property
    def year(self) -> int:
        """Year of the checkup."""
        ...

    @property
    def data(self) -> Any:
        """The city's layers (:class:`workbench.catalog.data.CityData`)."""
        ...

    @property
    def values(self) -> pd.DataFrame:
        """The value table."""
        ...

    @property
    def findings(self) -> Any:
        """Findings with shapes (GeoDataFrame)."""
        ...

    @property
    def definitions(self) -> Mapping[str, Any]:
        """Indicator definitions by id."""
        ...
