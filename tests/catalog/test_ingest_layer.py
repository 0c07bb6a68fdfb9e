"""A layer streamed into standard form: what comes out, what is told, what is refused."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from workbench.catalog.formats import batches, datum
from workbench.catalog.ingest import ingest_vector
from workbench.catalog.ingest_layer import Place, Written, write_layer
from workbench.core.city import load_city
from workbench.core.errors import CRSError, ProfileError
from workbench.core.layer_spec import LayerSpec

from .conftest import CRS, X, Y, box
from .test_ingest_formats import curved, drawing, parameters, seven

FIELDS = {"parcel_id": "BSM", "dlbm": "DLBM", "area_m2": "TBMJ"}


def spec(path: Path, **more: object) -> LayerSpec:
    return LayerSpec.model_validate({"path": path.name, "kind": "vector", **more})


def checks(written: Written) -> dict[str, int]:
    return {one.check: one.count for one in written.findings}


def survey(n: int) -> gpd.GeoDataFrame:
    """Parcels of 100 m² in a row: every tenth named instead of coded, one unknown, one misstated, one without shape,
    one bow-tie, two of one number."""
    shapes = [box(20 * i, 0, 20 * i + 10, 10) for i in range(n)]
    shapes[3] = shapely.Polygon([(X + 60, Y), (X + 70, Y + 10), (X + 70, Y), (X + 60, Y + 10)])
    shapes[4] = None
    frame = gpd.GeoDataFrame(
        {
            "BSM": [str(i) for i in range(n)], "DLBM": ["水田" if i % 10 == 0 else "0601" for i in range(n)],
            "TBMJ": 100.0, "备注": ["甲"] * n,
        },
        geometry=shapes, crs=CRS,
    )  # fmt: skip
    frame.loc[n - 1, ["BSM", "DLBM", "TBMJ"]] = ["0", "9901", 200.0]
    frame.loc[3, "TBMJ"] = 50.0
    return frame


@pytest.mark.parametrize(
    ("end", "driver"), [("gdb", "OpenFileGDB"), ("gpkg", "GPKG"), ("shp", "ESRI Shapefile"), ("parquet", "")]
)
def test_streamed_rows_and_findings_do_not_depend_on_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, driver: str
) -> None:
    source = tmp_path / f"DLTB.{end}"
    if driver:
        survey(50).to_file(
            source, driver=driver, **({"layer": "DLTB"} if end == "gdb" else {}), encoding="UTF-8"
        )
    else:
        survey(50).to_parquet(source)
    made = []
    for rows in (7, 10_000):
        monkeypatch.setattr(batches, "ROWS", rows)
        target = tmp_path / f"out{rows}.parquet"
        made.append(
            (
                write_layer(source, spec(source, fields=FIELDS), "land_use", Place(CRS), target, "a"),
                gpd.read_parquet(target),
            )
        )
    (one, first), (two, second) = made
    pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(second))
    assert [vars(a) for a in one.findings] == [vars(b) for b in two.findings]
    assert one.read == 50 and one.rows == 49 and first.crs == CRS and one.bounds == two.bounds
    assert checks(one) == {
        "codes_standardised": 5, "missing_geometry": 1, "geometry_repaired": 1, "unknown_code": 1, "stated_area": 1,
        "duplicate_code": 2,
    }  # fmt: skip
    assert first["dlbm"].value_counts().to_dict() == {"0601": 43, "0101": 5, "9901": 1}
    assert first.is_valid.all() and first.area.sum() == pytest.approx(48 * 100 + 50)
    assert "备注" not in first and first["area_m2"].dtype == float


def test_what_is_streamed_is_what_the_catalogue_reads(tmp_path: Path, real_data: Path) -> None:
    city = load_city("guangzhou", data_root=real_data)
    layer = city.layers["districts"]
    path = layer.file(city.root, None)
    whole = ingest_vector(city, "districts", path).frame
    target = tmp_path / "a.parquet"
    write_layer(path, layer, "districts", Place(city.crs), target, "a")
    here = gpd.read_parquet(target)
    assert here["code"].tolist() == whole["code"].tolist()
    assert shapely.equals_exact(here.geometry.to_numpy(), whole.geometry.to_numpy(), 1e-9).all()


def test_arcs_and_heights(tmp_path: Path) -> None:
    curved(tmp_path / "c.gpkg")
    target = tmp_path / "o.parquet"
    written = write_layer(tmp_path / "c.gpkg", spec(tmp_path / "c.gpkg"), "parks", Place(CRS), target, "c")
    assert checks(written) == {"curves": 1, "heights": 1} and written.kinds["CurvePolygon"] == 1
    frame = gpd.read_parquet(target)
    assert not frame.has_z.any() and frame.area.tolist() == pytest.approx([np.pi * 100, 100, 100], rel=2e-3)


def test_a_drawing_needs_its_crs_and_its_closed_lines_are_areas(tmp_path: Path) -> None:
    path, target = tmp_path / "d.dxf", tmp_path / "o.parquet"
    drawing(path, "R2010")
    with pytest.raises(CRSError, match="does not say its coordinate reference system"):
        write_layer(path, spec(path), "blue_line", Place(CRS), target, "d")
    written = write_layer(path, spec(path, crs=CRS, layer="城市蓝线"), "blue_line", Place(CRS), target, "d")
    assert checks(written) == {
        "closed_lines": 1,
        "crs_from_profile": 1,
        "geometry_type": 1,
        "heights": 1,
    }  # the text is no area, and lies at height 0
    assert gpd.read_parquet(target).area.tolist() == pytest.approx([600.0])
    with pytest.raises(ProfileError, match=r"no such layer.*城市蓝线"):
        write_layer(path, spec(path, crs=CRS, layer="绿线"), "blue_line", Place(CRS), target, "d")


def test_an_old_datum_is_refused_and_taken_with_the_bureaus_parameters(tmp_path: Path) -> None:
    path, target = tmp_path / "x.gpkg", tmp_path / "o.parquet"
    gpd.GeoDataFrame(
        {"n": [1]}, geometry=[shapely.box(500_000, 2_555_000, 500_100, 2_555_100)], crs="EPSG:2383"
    ).to_file(path)
    with pytest.raises(CRSError, match=r"no public transformation.*--datum-parameters"):
        write_layer(path, spec(path), "parks", Place(CRS), target, "x")
    given = datum.load(parameters(tmp_path, seven()))
    written = write_layer(path, spec(path), "parks", Place(CRS), target, "x", parameters=given)
    assert checks(written) == {"datum_parameters": 1}
    lon, lat = given.convert(gpd.read_file(path).crs, [500_000.0], [2_555_000.0])
    corner = gpd.GeoSeries([shapely.Point(lon[0], lat[0])], crs="EPSG:4490").to_crs(CRS).iloc[0]
    moved = gpd.read_parquet(target).geometry.iloc[0]
    assert (
        shapely.distance(moved, corner) < 1e-3
        and shapely.distance(moved, shapely.Point(500_000, 2_555_000)) > 20
    )
    with pytest.raises(CRSError, match="no public transformation"):
        other = tmp_path / "b.gpkg"
        gpd.read_file(path).set_crs("EPSG:2435", allow_override=True).to_file(other)  # Beijing 54: not theirs
        write_layer(other, spec(other), "parks", Place(CRS), target, "b", parameters=given)


def test_coordinates_outside_the_city_are_refused_or_told(tmp_path: Path) -> None:
    path, target = tmp_path / "p.gpkg", tmp_path / "o.parquet"
    extent = (X, Y, X + 2000, Y + 1000)
    gpd.GeoDataFrame(geometry=[box(0, 0, 9, 9)], crs=CRS).to_crs("EPSG:4548").set_crs(
        CRS, allow_override=True
    ).to_file(path)
    with pytest.raises(CRSError, match=r"outside the city.*in EPSG:4548 they would lie in the city: ask"):
        write_layer(path, spec(path), "parks", Place(CRS, extent), target, "p")
    gpd.GeoDataFrame(geometry=[box(0, 0, 9, 9), box(9000, 0, 9009, 9)], crs=CRS).to_file(path)
    assert checks(write_layer(path, spec(path), "parks", Place(CRS, extent), target, "p")) == {
        "outside_city": 1
    }
    inside = Place(CRS, extent, shapely.box(*extent))
    assert checks(write_layer(path, spec(path), "parks", inside, target, "p")) == {"clipped": 1}
    assert len(gpd.read_parquet(target)) == 1


def test_fields_that_are_empty_in_the_first_batch_keep_their_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "ROWS", 2)
    path, target = tmp_path / "p.gpkg", tmp_path / "o.parquet"
    frame = gpd.GeoDataFrame(
        {"own": [None, None, "x"], "n": [1.0, np.nan, 2.5]},
        geometry=[box(i, 0, i + 1, 1) for i in range(3)],
        crs=CRS,
    )
    frame.to_file(path)
    write_layer(path, spec(path), "parks", Place(CRS), target, "p")
    made = gpd.read_parquet(target)
    assert made["own"].tolist() == [None, None, "x"] and made["park_id"].tolist() == [
        "parks-000001",
        "parks-000002",
        "parks-000003",
    ]


@pytest.mark.parametrize(
    ("role", "column", "rows", "kind", "at_kind"),
    [
        ("roads", "road_class", 11_057, "steps", 710),
        ("buildings", None, 22_220, None, 0),
        ("parks", "kind", 272, "square", 60),
        ("facilities", "kind", 1_154, "pharmacy", 79),
    ],
)
def test_an_openstreetmap_extract_gives_what_another_reader_gave(
    tmp_path: Path, real_data: Path, role: str, column: str | None, rows: int, kind: str | None, at_kind: int
) -> None:
    """Numbers of the layers that pyrosm cut from the same extract (las_palmas.gpkg), read by the same presets."""
    city = load_city("las_palmas", data_root=real_data)
    path, target = city.root / "las_palmas_osm_20230221.osm.pbf", tmp_path / "o.parquet"
    outline = ingest_vector(city, "boundary", city.root / "las_palmas.gpkg").frame.geometry.iloc[0]
    place = Place(city.crs, outline.bounds, outline)
    written = write_layer(path, spec(path, preset=f"osm_{role}"), role, place, target, "o")
    frame = gpd.read_parquet(target)
    assert len(frame) == written.rows == pytest.approx(rows, rel=0.012)
    if column is not None:
        assert (frame[column] == kind).sum() == at_kind
