"""Pictures of cases: right place, one stretch for both dates, the clearest pair, who may see them."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from shapely.geometry import box

from workbench.core.errors import ImageError
from workbench.interpretation import chips
from workbench.interpretation.imagery import Pair, Scene

CRS = "EPSG:4547"
X, Y = 500_000.0, 2_500_000.0
FIELD = box(X + 500, Y - 560, X + 560, Y - 500)


def image(path: Path, day: str, *, built: bool, cloud: tuple[slice, slice] | None = None) -> Scene:
    """100 x 100 cells of 10 m: dark green with, if built, a bright square in the middle."""
    data = np.empty((4, 100, 100), dtype="uint16")
    data[:] = np.array([400, 700, 500, 3500])[:, None, None]
    data += np.random.default_rng(1).integers(0, 60, data.shape).astype("uint16")
    if built:
        data[:, 50:56, 50:56] = np.array([2200, 2300, 2500, 2600])[:, None, None]
    mask = np.zeros((100, 100), dtype="uint8")
    if cloud is not None:
        mask[cloud] = 1
    where = {
        "crs": CRS,
        "transform": from_origin(X, Y, 10, 10),
        "width": 100,
        "height": 100,
        "driver": "GTiff",
    }
    with rasterio.open(path, "w", count=4, dtype="uint16", **where) as out:
        out.write(data)
        out.descriptions = ("blue", "green", "red", "nir")
    with rasterio.open(path.with_suffix(".mask.tif"), "w", count=1, dtype="uint8", **where) as out:
        out.write(mask, 1)
    return Scene.of_file(path, date=day, mask=path.with_suffix(".mask.tif"))


def pair(folder: Path, month: str = "11", **cloud: object) -> Pair:
    folder.mkdir(exist_ok=True)
    return Pair(
        image(folder / f"a{month}.tif", f"2024-{month}-02", built=False),
        image(folder / f"b{month}.tif", f"2025-{month}-02", built=True, **cloud),  # type: ignore[arg-type]
    )


def case() -> pd.Series:
    return pd.Series({"geometry": FIELD, "space_code": "X1"})


def colours(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_before_is_dark_and_after_is_bright_inside_the_outline(tmp_path: Path) -> None:
    made = chips.case_chip(case(), pair(tmp_path), tmp_path / "chip.png")
    seen = colours(made)
    assert seen.shape == (chips.SIDE + chips.HEAD, 2 * chips.SIDE + chips.GAP, 3)
    middle = chips.HEAD + chips.SIDE // 2
    before = seen[middle - 8 : middle + 8, chips.SIDE // 2 - 8 : chips.SIDE // 2 + 8]
    after = seen[middle - 8 : middle + 8, chips.SIDE + chips.GAP + chips.SIDE // 2 - 8 :][:, :16]
    assert after.mean() > before.mean() + 80
    # the same ground is as bright on both dates: one stretch
    left, right = seen[100:140, 20:40], seen[100:140, chips.SIDE + chips.GAP + 20 :][:, :20]
    assert abs(left.mean() - right.mean()) < 12
    # the outline is where the field is: 400 m are shown, 60 m of them field
    red = (seen[..., 0] > 180) & (seen[..., 1] < 90) & (seen[..., 2] < 90)
    columns = np.flatnonzero(red[:, : chips.SIDE].any(axis=0))
    assert (columns.max() - columns.min()) / chips.SIDE * 400 == pytest.approx(60, abs=8)
    assert (columns.max() + columns.min()) / 2 / chips.SIDE * 400 == pytest.approx(200, abs=12)


def test_the_clearest_pair_is_drawn(tmp_path: Path) -> None:
    cloudy = pair(tmp_path / "x", "11", cloud=(slice(45, 70), slice(45, 70)))
    clear = pair(tmp_path / "y", "07")
    with chips._Images([clear, cloudy]) as images:
        assert images.best(case(), CRS).pair is clear  # type: ignore[union-attr]
    with chips._Images([pair(tmp_path / "z", "03"), pair(tmp_path / "w", "12")]) as images:
        assert images.best(case(), CRS).pair.after.date.month == 12  # type: ignore[union-attr]


def test_pictures_of_many_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    cases = gpd.GeoDataFrame(
        {"space_code": ["A1", "", "A2"]},
        geometry=[FIELD, FIELD, box(X + 9e5, Y, X + 9e5 + 50, Y + 50)],
        crs=CRS,
    )
    made = chips.write_chips("small", 2025, cases, [pair(tmp_path / "x")])
    assert (
        made == [chips.chip_file("small", 2025, "A1")] and made[0].exists()
    )  # one without code, one outside
    assert chips.chip_sensitivity(made[0]) == "公开"
    first = made[0].read_bytes()
    assert chips.write_chips("small", 2025, cases, [pair(tmp_path / "x")])[0].read_bytes() == first


def test_a_case_in_degrees_is_brought_to_the_images(tmp_path: Path) -> None:
    there = gpd.GeoDataFrame({"space_code": ["A"]}, geometry=[FIELD], crs=CRS).to_crs(4490)
    one = chips.case_chip(there.iloc[0], pair(tmp_path), tmp_path / "a.png", crs=there.crs)
    two = chips.case_chip(case(), pair(tmp_path), tmp_path / "b.png")
    assert np.abs(colours(one) - colours(two)).mean() < 1


def test_nothing_to_see(tmp_path: Path) -> None:
    away = pd.Series({"geometry": box(X + 9e5, Y, X + 9e5 + 50, Y + 50)})
    with pytest.raises(ImageError, match="show nothing"):
        chips.case_chip(away, pair(tmp_path), tmp_path / "chip.png")
    hidden = pair(tmp_path / "h", cloud=(slice(0, 100), slice(0, 100)))
    with pytest.raises(ImageError, match="show nothing"):
        chips.case_chip(case(), hidden, tmp_path / "chip.png")
    assert not (tmp_path / "chip.png").exists()
