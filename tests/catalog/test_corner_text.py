"""Texts of parcel corners (界址点 .txt): hand-made files with known areas, and what is refused or told."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely
from click.testing import CliRunner

from workbench.catalog.formats.corner_text import is_corner_text, read
from workbench.cli import main
from workbench.core.errors import CRSError, ProfileError
from workbench.governance.delivery import examine

HEAD = """[属性描述]
格式版本号=1.01版本
数据产生单位=某市自然资源局
数据产生日期=2025-6-30
坐标系=2000国家大地坐标系
几度分带=3
投影类型=高斯克吕格
计量单位=米
带号=38
精度=0.001
转换参数=,,,,,,
[地块坐标]
"""
X, Y = 2_500_000.0, 38_500_000.0
"""Northing and easting (with its zone) of the corner of the drawn parcels."""


def ring(name: int, *corners: tuple[float, float], closed: bool = True, zone: bool = True) -> str:
    """Lines of a ring from (east, north) offsets; the first corner comes again at the end."""
    every = [*corners, corners[0]] if closed else list(corners)
    east = Y if zone else Y - 38_000_000
    numbers = [*range(1, len(corners) + 1), 1]
    return "".join(
        f"J{number},{name},{X + north:.3f},{east + at:.3f}\n"
        for number, (at, north) in zip(numbers, every, strict=False)
    )


SQUARE = ((0, 0), (100, 0), (100, 100), (0, 100))
HOLE = ((20, 20), (40, 20), (40, 40), (20, 40))
BESIDE = ((200, 0), (250, 0), (250, 50), (200, 50))
ONE = "5,1.0,DK-1,甲地块,面,H50G,工业用地,0601,@\n" + ring(1, *SQUARE)


def text(folder: Path, body: str = ONE, *, head: str = HEAD, encoding: str = "utf-8") -> Path:
    path = folder / "界址点.txt"
    path.write_text(head + body, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_parcels_with_holes_and_parts_have_the_areas_drawn(tmp_path: Path, encoding: str) -> None:
    body = ONE + "15,1.21,DK-2,乙地块,面,,,,@\n" + ring(1, *SQUARE) + ring(2, *HOLE) + ring(3, *BESIDE)
    path = text(tmp_path, body, encoding=encoding)
    assert is_corner_text(path)
    frame, findings = read(path, path.name)
    assert not findings and frame.crs.to_epsg() == 4526  # zone 38 with its number
    assert list(frame["地块编号"]) == ["DK-1", "DK-2"] and list(frame["地块用途"]) == ["工业用地", None]
    assert list(frame.area) == [10_000, 10_000 - 400 + 2_500]
    assert len(frame.geometry[1].geoms) == 2 and "图幅号" in frame
    assert shapely.bounds(frame.geometry[0]).tolist() == [Y, X, Y + 100, X + 100]


def test_an_easting_without_zone_number_gives_the_system_without_it(tmp_path: Path) -> None:
    body = "5,1.0,DK-1,,面,,,,@\n" + ring(1, *SQUARE, zone=False)
    assert read(text(tmp_path, body), "f")[0].crs.to_epsg() == 4547
    six = HEAD.replace("几度分带=3", "几度分带=6").replace("带号=38", "带号=19")
    assert read(text(tmp_path, body, head=six), "f")[0].crs.to_epsg() == 4508  # 6 degrees, CM 111E


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("坐标系=2000国家大地坐标系", "坐标系=某市独立坐标系", "no reference system that is known.*某市独立"),
        ("坐标系=2000国家大地坐标系\n", "", "no reference system"),
        ("几度分带=3", "几度分带=", "几度分带"),
        ("带号=38", "带号=", "带号"),
        ("带号=38", "带号=39", "do not fit the zone"),
        ("计量单位=米", "计量单位=度", "计量单位 = 度"),
        ("投影类型=高斯克吕格", "投影类型=墨卡托", "墨卡托"),
    ],
)
def test_a_head_that_states_no_system_or_another_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(CRSError, match=words):
        read(text(tmp_path, head=HEAD.replace(old, new)), "f")


def test_a_system_given_for_a_head_without_one_is_used(tmp_path: Path) -> None:
    frame, _ = read(
        text(tmp_path, head=HEAD.replace("坐标系=2000国家大地坐标系\n", "")), "f", crs="EPSG:4526"
    )
    assert frame.crs is None and frame.area[0] == 10_000


def test_old_datums_and_swapped_axes_are_refused(tmp_path: Path) -> None:
    (old,) = examine(text(tmp_path, head=HEAD.replace("2000国家大地坐标系", "80国家大地坐标系")))
    assert old.crs == "EPSG:2362" and "no public transformation" in old.problems[0]
    lines = [line.split(",") for line in ring(1, *SQUARE).splitlines()]
    swapped = "5,1.0,DK-1,,面,,,,@\n" + "".join(f"{a},{b},{y},{x}\n" for a, b, x, y in lines)
    with pytest.raises(CRSError, match="swapped: the easting stands first"):
        read(text(tmp_path, swapped), "f")
    degrees = "4,1.0,DK-1,,面,,,,@\nJ1,1,22.6,114.0\nJ2,1,22.6,114.1\nJ3,1,22.7,114.1\nJ1,1,22.6,114.0\n"
    with pytest.raises(CRSError, match="no northings and eastings"):
        read(text(tmp_path, degrees), "f")


def test_faults_of_parcels_are_told_and_the_others_stand(tmp_path: Path) -> None:
    body = (
        ONE
        + "4,1.0,开口,,面,,,,@\n" + ring(1, *SQUARE, closed=False)
        + "5,1.0,缺坐标,,面,,,,@\n" + ring(1, *SQUARE) + "J9,1,,\n"
        + "2,1.0,两点,,面,,,,@\n" + ring(1, (0, 0), (5, 5), closed=False)
        + "9,1.0,点数错,,面,,,,@\n" + ring(1, *SQUARE)
        + "2,0,中线,,线,,,,@\n" + ring(1, (0, 0), (5, 5), closed=False)
    )  # fmt: skip
    frame, findings = read(text(tmp_path, body), "f")
    there = dict(zip(frame["地块编号"], ~shapely.is_missing(frame.geometry.to_numpy()), strict=True))
    assert there == {
        "DK-1": True,
        "开口": True,
        "缺坐标": False,
        "两点": False,
        "点数错": True,
        "中线": False,
    }
    told = {one.check: one for one in findings}
    assert set(told) == {"corners", "corner_kind", "corner_open", "corner_count"}
    assert told["corners"].count == 2 and "缺坐标 (line 30)" in told["corners"].message_en
    assert "开口" in told["corner_open"].message_zh and "点数错" in told["corner_count"].message_zh
    assert "中线 (线)" in told["corner_kind"].message_zh


def test_stated_conversion_is_told_and_other_texts_are_none_of_ours(tmp_path: Path) -> None:
    _, findings = read(
        text(tmp_path, head=HEAD.replace("转换参数=,,,,,,", "转换参数=12.5,-3,0,0,0,0,0")), "f"
    )
    assert "12.5,-3" in findings[0].message_zh
    (tmp_path / "说明.txt").write_text("移交说明", encoding="utf-8")
    assert not is_corner_text(tmp_path / "说明.txt")
    notes = {one.path.name: one for one in examine(tmp_path)}
    assert notes["说明.txt"].ignored and notes["界址点.txt"].family == "polygon"
    with pytest.raises(ProfileError, match="holds no parcel"):
        read(text(tmp_path, ""), "f")
    with pytest.raises(ProfileError, match="before any parcel"):
        read(text(tmp_path, ring(1, *SQUARE)), "f")


def test_ingest_takes_it_by_command(tmp_path: Path, home: Path) -> None:
    path, to = text(tmp_path, encoding="gb18030"), tmp_path / "projects.parquet"
    args = [
        "ingest",
        str(path),
        "--city",
        "demo",
        "--role",
        "projects",
        "--fields",
        "project_code=地块编号",
        "--dry-run",
    ]
    run = CliRunner().invoke(main, args)
    assert "corners (.txt)" in run.output and "EPSG:4526" in run.output, run.output
    assert not to.exists()
