from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyproj import Transformer
from shapely.geometry import box

from workbench.dashboard import checkup_dashboard
from workbench.dashboard.about import about
from workbench.dashboard.map_layers import land_use_overlay, water_of, zoom_for
from workbench.dashboard.map_panel import MapPanel
from workbench.dashboard.panel import cards, case_card, filtered_table, first_view, header, red_list


def _find(widget: Any, kind: str) -> list[Any]:
    found = [widget] if type(widget).__name__ == kind else []
    for child in getattr(widget, "children", ()):
        found += _find(child, kind)
    return found


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_dashboard_has_header_list_map_and_table(checkup: Any, lang: str) -> None:
    whole = checkup_dashboard(checkup, lang)
    assert len(_find(whole, "Map")) == 1
    labels = [box.description for box in _find(whole, "Dropdown")]
    assert labels == (
        ["行政区", "类型", "指标", "行政区", "维度", "预警等级"]
        if lang == "zh"
        else ["District", "Kind", "Indicator", "District", "Dimension", "Level"]
    )
    assert len(_find(whole, "ToggleButton")) == 6
    assert all(box.index is not None for box in _find(whole, "Dropdown"))


def _pick(whole: Any, text: str) -> None:
    next(box for box in _find(whole, "Text") if "wb-pick" in box._dom_classes).value = text


def test_a_pick_in_the_list_shows_the_patch_or_the_indicator(checkup: Any) -> None:
    whole = checkup_dashboard(checkup, "zh")
    chart, switches = _find(whole, "Map")[0], _find(whole, "ToggleButton")
    cases = next(one for one in switches if one.description == "疑似图斑")
    cases.value = False
    _pick(whole, "case:f1#1")
    assert cases.value and type(chart.layers[-1]).__name__ == "Popup" and "f1" in chart.layers[-1].child.value
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:4547", always_xy=True).transform(*reversed(chart.center))
    assert abs(x - 484_500) < 400 and abs(y - 2_543_500) < 400 and chart.zoom >= 13
    before = chart.layers
    _pick(whole, "case:<no such>#2")
    _pick(whole, "indicator:no such#3")
    assert chart.layers == before
    chosen = next(box for box in _find(whole, "Dropdown") if box.description == "指标")
    other = next(value for _, value in chosen.options if value != chosen.value)
    _pick(whole, f"indicator:{other}#4")
    assert chosen.value == other


def test_choosing_all_again_leaves_no_choice_blank(checkup: Any) -> None:
    whole = checkup_dashboard(checkup, "zh")
    for one in _find(whole, "Dropdown"):
        if one.options[0][0] == "全部":
            one.value = one.options[1][1]
            one.value = one.options[0][1]
            assert one.index == 0
    assert "f1" in whole.children[1].children[0].children[-1].value


def test_land_use_and_indicator_colours_take_turns(checkup: Any) -> None:
    whole = checkup_dashboard(checkup, "zh")
    fill, land_use = _find(whole, "ToggleButton")[:2]
    land_use.value = True
    assert not fill.value
    fill.value = True
    assert not land_use.value
    lines = next(one for one in _find(whole, "ToggleButton") if one.description == "三条控制线")
    lines.value = True
    assert not fill.value
    chosen = next(box for box in _find(whole, "Dropdown") if box.description == "指标")
    chosen.value = next(value for _, value in chosen.options if value != chosen.value)
    assert fill.value and not lines.value


def test_the_first_view_reads_like_the_page_without_a_kernel(checkup: Any) -> None:
    made = first_view(checkup, "zh")
    assert str(header(checkup, "zh")) in made and str(cards(checkup, "zh")) in made
    assert str(red_list(checkup, "zh")) in made and "正在准备地图" in made and "<script" not in made


def test_the_map_fits_the_city_to_its_size_once(checkup: Any) -> None:
    panel = MapPanel(checkup, "zh")
    start = panel.map.zoom
    panel.map.set_trait("pixel_bounds", ((0, 0), (2000, 1500)))
    wide = panel.map.zoom
    assert wide > start
    panel.map.zoom = 17
    panel.map.set_trait("pixel_bounds", ((0, 0), (2001, 1500)))
    assert panel.map.zoom == 17


def test_no_layer_of_the_map_asks_the_web(checkup: Any) -> None:
    panel = MapPanel(checkup, "zh")
    for name in panel.LAYERS:
        panel.toggle(name, True)
    kinds = {type(layer).__name__ for layer in panel.map.layers}
    assert kinds == {"GeoJSON", "ImageOverlay", "Marker"}
    assert all(one.url.startswith("data:") for one in panel.map.layers if hasattr(one, "url"))


def test_choosing_an_indicator_recolours_the_map(checkup: Any) -> None:
    panel = MapPanel(checkup, "zh")
    panel.show_indicator("S-1")
    fills = {
        f["properties"]["code"]: f["properties"]["style"]["fillColor"] for f in panel._fill.data["features"]
    }
    assert fills["D4"] == "#e5e7eb" and len(set(fills.values())) == 4
    assert "wb-key" in panel.legend.value
    panel.show_indicator("A-2")
    assert "无分区数值" in panel.legend.value


def test_colours_stay_below_roads_water_and_patches(checkup: Any) -> None:
    panel = MapPanel(checkup, "zh")
    for name in panel.LAYERS:
        panel.toggle(name, True)
    panel.show_indicator("S-1")
    heights = {name: look["zIndex"] for name, look in panel.map.panes.items()}

    def height(name: str) -> set[int]:
        found = set()
        for layer in panel.groups[name]:
            shapes = getattr(layer, "data", {}).get("features", [])
            panes = [one["properties"]["style"].get("pane", "") for one in shapes] or [layer.pane]
            found |= {heights.get(pane, 400) for pane in panes}  # 400: Leaflet's own
        return found

    assert max(height("fill")) < min(height("base")) < min(height("lines")) < min(height("cases"))
    assert max(height("land_use")) < min(height("base")) and height("cases") == {400}
    assert panel._border.style["interactive"] is False and panel._border.style["pane"] == "wblines"


def test_waters_are_those_of_the_land_use(checkup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lakes = ["1103", "1104A", "1104A", "0601", "1101"]
    shapes = [
        box(0, 0, 90, 90),
        box(500, 0, 590, 90),
        box(590, 0, 700, 90),
        box(900, 0, 999, 999),
        box(0, 500, 300, 600),
    ]
    parcels = gpd.GeoDataFrame({"dlbm": lakes}, geometry=shapes, crs="EPSG:4547")
    monkeypatch.setattr(checkup.data, "vector", lambda *_: parcels, raising=False)
    found = water_of(checkup)
    assert found is not None  # the pond of 0.8 ha is left out, the two that touch are one of 1.8 ha
    assert sorted(found.area) == pytest.approx([18_000.0, 30_000.0])


def test_an_indicator_is_explained_in_words(checkup: Any) -> None:
    checkup.definitions["S-1"].definition = "People within 5 minutes of a park"
    checkup.definitions["S-1"].definition_zh = "步行5分钟可达公园的人口"
    checkup.definitions["S-1"].denominator_zh = "常住人口"
    checkup.definitions["S-1"].source = "TD/T 1063-2021"
    row = checkup.values.query("indicator == 'S-1' and level == 'city' and year == 2025").iloc[0]
    told = re.sub("<[^>]+>", "", about(checkup, "S-1", "zh"))
    for words in (
        "公园 5 分钟步行覆盖率",
        "71.46%",
        "分钟可达公园的人口",
        "常住人口",
        "代理",
        "TD/T 1063-2021",
        row["value_id"],
    ):
        assert words in told
    assert about(checkup, "no such", "zh") == ""
    assert "minutes of a park" not in told
    assert "minutes of a park" in about(checkup, "S-1", "en")
    assert "步行5分钟可达公园的人口" in filtered_table(checkup, "zh", words="公园")
    whole = checkup_dashboard(checkup, "zh")
    _pick(whole, "indicator:A-2#1")  # has no district values, and no map
    texts = [one.value for one in _find(whole, "HTML")]
    assert any('wb-about" open' in text and "人均年用水量" in text for text in texts)


def test_places_are_counted_once_and_lines_refer_to_one_another(checkup: Any) -> None:
    findings = checkup.findings
    again = findings[findings["finding_id"] == "f1"].assign(finding_id="f3", line="development_boundary")
    checkup.findings = gpd.GeoDataFrame(pd.concat([findings, again], ignore_index=True), crs=findings.crs)
    numbers = {"cases": 2.0, "cases_open": 2.0, "cases_4": 1.0, "cases_3": 1.0}
    like = checkup.values[checkup.values["indicator"] == "report.computed"].iloc[0]
    rows = [
        {**like, "indicator": f"report.{n}", "zone": "all", "value_id": f"vr{n}", "value": v}
        for n, v in numbers.items()
    ]
    checkup.values = pd.concat([checkup.values, pd.DataFrame(rows)], ignore_index=True)
    made = red_list(checkup, "zh")
    assert made.count("同一地块另涉") == 2 and "共 <span" in made and "只计一次" in made
    assert "只计一次" not in red_list(checkup, "zh", "D4")
    shown = re.sub("<[^>]+>", "", case_card(checkup, "zh"))
    assert shown == "疑似图斑2处未见完整批准 2严重 1较重 1"
    assert str(case_card(checkup, "zh")) in cards(checkup, "zh")


def test_the_page_says_where_the_report_lies(
    checkup: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    assert "make report CITY=small" in first_view(checkup, "zh")
    page = tmp_path / "reports" / "small" / "2025" / "latest" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("report")
    assert "reports/small/2025/latest/report.html" in first_view(checkup, "zh")


def test_layers_come_and_go(checkup: Any) -> None:
    panel = MapPanel(checkup, "zh")
    before = len(panel.map.layers)
    panel.toggle("lines", True)
    assert len(panel.map.layers) == before + 3
    panel.toggle("lines", False)
    assert len(panel.map.layers) == before


def test_a_click_on_a_patch_tells_its_story(checkup: Any) -> None:
    panel = MapPanel(checkup, "zh")
    dots = panel.groups["cases"][1]
    panel._click(feature=dots.data["features"][0])
    assert "f1" in panel._popup.child.value and "1,500.00" in panel._popup.child.value
    x, y = Transformer.from_crs("EPSG:4547", "EPSG:4326", always_xy=True).transform(484_500.0, 2_543_500.0)
    assert panel._popup.location == pytest.approx([y, x], abs=2e-5)


def test_the_picture_lies_where_the_city_is(checkup: Any) -> None:
    overlay = land_use_overlay(checkup, cells=200)
    assert overlay is not None
    (south, west), (north, east) = overlay.bounds
    to_city = Transformer.from_crs("EPSG:4326", "EPSG:4547", always_xy=True)
    x0, y0 = to_city.transform(west, south)
    x1, y1 = to_city.transform(east, north)
    assert abs(x0 - 480_000) < 400 and abs(y0 - 2_540_000) < 400
    assert abs(x1 - 500_000) < 400 and abs(y1 - 2_560_000) < 400
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(overlay.url.split(",")[1]))).convert("RGBA"))
    mercator = Transformer.from_crs("EPSG:4547", "EPSG:3857", always_xy=True)
    left, bottom = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(west, south)
    right, top = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform(east, north)
    px, py = mercator.transform(484_500.0, 2_543_500.0)  # an industrial parcel
    row, column = (
        int((top - py) / (top - bottom) * image.shape[0]),
        int((px - left) / (right - left) * image.shape[1]),
    )
    assert tuple(image[row, column]) == (0xB0, 0x8A, 0x66, 255)


def test_the_table_narrows(checkup: Any) -> None:
    assert "森林覆盖率" not in filtered_table(checkup, "zh", dimension="安全")
    assert "耕地保有量" in filtered_table(checkup, "zh", level=4)
    assert "人均年用水量" not in filtered_table(checkup, "zh", level=4)
    assert "人均年用水量" in filtered_table(checkup, "zh", level=-1)
    assert "森林" in filtered_table(checkup, "zh", words="森林")
    assert "没有符合条件" in filtered_table(checkup, "zh", words="<script>")


def test_the_list_narrows_by_kind(checkup: Any) -> None:
    assert 'data-pick="case:' not in red_list(checkup, "zh", kind="indicator")
    assert 'data-pick="indicator:' not in red_list(checkup, "zh", kind="case")


def test_the_red_list_is_worst_first_and_by_district(checkup: Any) -> None:
    everything = red_list(checkup, "zh")
    assert everything.index("level-4") < everything.index("level-3") < everything.index("level-2")
    only = red_list(checkup, "zh", "D4")
    assert "f2" in only and "f1" not in only
    assert "没有符合条件" in red_list(checkup, "zh", "D3")


def test_cards_and_header(checkup: Any) -> None:
    made = cards(checkup, "zh")
    assert made.count('wb-card"') == 6 and "严重 <span" in made
    assert "小城国土空间规划城市体检" in header(checkup, "zh")
    checkup.values = checkup.values[~checkup.values["indicator"].str.startswith("report.")]
    assert 'wb-card"' not in cards(checkup, "zh")
    checkup.findings = pd.DataFrame(checkup.findings).iloc[:0]
    assert "没有符合条件" in red_list(checkup, "zh")


def test_zoom_fits_the_map() -> None:
    zoom = zoom_for(113.8, 22.95, 114.0, 23.15)
    width = (114.0 - 113.8) / 360 * 256 * 2**zoom
    assert 0.5 * 500 < width <= 700
