"""From a city's map to areas with intervals: a drawn map whose errors are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from workbench.core.codes import survey_codes
from workbench.core.errors import LayerMissing, ParameterError
from workbench.interpretation import assessment
from workbench.interpretation.assessment import Map, assess, draw_points, map_of, survey_reference

X, Y = 500_000.0, 2_500_000.0


class Data:
    """A city of 2 x 2 km: cropland in the west, built land in the east; since the map 200 m more of it."""

    def __init__(self, path: Path, *, published: bool) -> None:
        codes = survey_codes().set_index("code")["raster"]
        cells = np.full((200, 200), int(codes["0101"]), dtype="uint8")
        cells[:, 100:] = int(codes["0701"])
        if published:
            cells = np.where(cells == int(codes["0101"]), 1, 5).astype("uint8")
        with rasterio.open(
            path, "w", driver="GTiff", height=200, width=200, count=1, dtype="uint8", crs="EPSG:4547", nodata=0,
            transform=from_origin(X, Y + 2000, 10, 10),
        ) as out:  # fmt: skip
            out.write(cells, 1)
        self.path, self.published = path, published

    def has(self, role: str, year: int | None = None) -> bool:
        return role == "land_cover_map" and self.published

    def years(self, role: str) -> list[int]:
        return [2019, 2024] if role == "land_use_raster" and not self.published else []

    def source(self, role: str, year: int) -> Any:
        return SimpleNamespace(path=self.path, sensitivity="内部")

    def vector(self, role: str, year: int) -> gpd.GeoDataFrame:
        shapes = [box(X, Y, X + 800, Y + 2000), box(X + 800, Y, X + 2000, Y + 2000)]
        return gpd.GeoDataFrame({"dlbm": ["0102", "0601"]}, geometry=shapes, crs="EPSG:4547")


CITY: Any = SimpleNamespace(name="small", name_zh="小城", base_year=2019)


@pytest.mark.parametrize("published", [True, False])
def test_the_area_is_corrected(tmp_path: Path, published: bool) -> None:
    """The map says 200 ha of cropland, the truth is 160; the estimate finds it and its interval holds it."""
    data = Data(tmp_path / "map.tif", published=published)
    judged = map_of(CITY, 2025, data)
    assert (judged.role, judged.year) == (
        ("land_cover_map", 2025) if published else ("land_use_raster", 2019)
    )
    drawn = draw_points(judged, 300, seed=4)
    assert set(drawn.points["mapped"]) == {"cropland", "built"}
    found = survey_reference(drawn.points, 2025, data)
    result = assess(
        CITY, 2025, judged, drawn, found, limits={"cropland": (190.0, "<="), "built": (230.0, ">=")}
    )
    row = result.areas.loc["cropland"]
    assert row["mapped"] == pytest.approx(200, rel=0.002)
    assert row["area"] == pytest.approx(160, abs=12) and row["low"] < 160 < row["high"] < 190
    assert result.decisions["cropland"][2].answer is True
    assert result.matrix.at["cropland", "built"] > 15 and result.matrix.at["built", "cropland"] == 0
    values = result.values.set_index("indicator")
    assert values.at["imagery.area.cropland", "low"] == pytest.approx(row["low"])
    assert values.at["imagery.accuracy.users.cropland", "value"] == pytest.approx(80, abs=6)
    assert values["sensitivity"].eq("内部").all() and values["value_id"].is_unique
    points = float((drawn.points["mapped"] == "cropland").sum())  # what user's accuracy is a share of
    assert values.at["imagery.area.points.cropland", "value"] == points
    right = result.matrix.at["cropland", "cropland"]
    assert values.at["imagery.accuracy.users.cropland", "value"] == pytest.approx(100 * right / points)
    totals = [values.at[f"imagery.total.{one}", "value"] for one in ("mapped", "estimate")]
    assert totals == pytest.approx([400, 400], rel=0.002)


def test_a_share_short_of_certain_is_not_rounded_to_it() -> None:
    assert [assessment._digits([one]) for one in (93.24, 99.94, 99.96, 99.997, 100.0)] == [1, 1, 2, 3, 1]


def test_points_nobody_could_tell_are_left_out(tmp_path: Path) -> None:
    judged = Map(
        Data(tmp_path / "map.tif", published=True).path,
        "land_cover_map",
        2025,
        ("cropland", "b", "c", "d", "built"),
    )
    drawn = draw_points(judged, 60, seed=4)
    found = drawn.points["mapped"].to_numpy(object).copy()
    found[:10] = ""
    result = assess(CITY, 2025, judged, drawn, found)
    assert (
        len(result.points) == 50
        and result.accuracy["value"].iloc[0] == 1.0
        and result.accuracy["low"].iloc[0] < 1
    )
    with pytest.raises(ParameterError, match="no point"):
        assess(CITY, 2025, judged, drawn, [""] * len(drawn.points))


def test_points_of_training_places_are_refused(tmp_path: Path) -> None:
    judged = Map(
        Data(tmp_path / "map.tif", published=True).path,
        "land_cover_map",
        2025,
        ("cropland", "b", "c", "d", "built"),
    )
    chips = gpd.GeoDataFrame(geometry=[box(X, Y, X + 600, Y + 600)], crs="EPSG:4547")
    drawn = draw_points(judged, 80, seed=4)
    with pytest.raises(ParameterError, match="trained on"):
        assess(CITY, 2025, judged, drawn, drawn.points["mapped"].to_numpy(), trained=chips)
    apart = draw_points(judged, 80, seed=4, without=chips)
    result = assess(CITY, 2025, judged, apart, apart.points["mapped"].to_numpy(), trained=chips)
    assert result.areas["mapped"].sum() == pytest.approx(
        400 - 36, rel=0.002
    )  # the chips are no part of what is estimated


def test_a_city_without_any_map(tmp_path: Path) -> None:
    data: Any = SimpleNamespace(has=lambda *_: False, years=lambda _: [])
    with pytest.raises(LayerMissing):
        map_of(CITY, 2025, data)


def test_no_torch_is_needed() -> None:
    source = Path(assessment.__file__).read_text("utf-8")
    assert "torch" not in source
