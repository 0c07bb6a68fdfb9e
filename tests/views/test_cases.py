"""Case sheets and the register as tables: facts, picture before and after, lines touched, history."""

import re
from types import SimpleNamespace

import geopandas as gpd
import pandas as pd
import pytest
from PIL import Image
from shapely.affinity import translate

from tests.reporting.numerals import faults
from workbench.evaluation.casebook import register_rows
from workbench.interpretation.chips import chip_file
from workbench.rules.register import Register
from workbench.rules.space_code import space_code
from workbench.views import cases


@pytest.fixture
def booked(checkup, tmp_path, monkeypatch):
    """The small city with a register: one case found, one closed as a false change."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    found = checkup.findings
    spatial = found["kind"] == "spatial_conflict"
    found["space_code"] = [
        space_code(shape, found.crs, line, 2025) if one else ""
        for one, shape, line in zip(spatial, found.geometry, found["line"], strict=True)
    ]
    register = Register.open(checkup.city)
    register.update(found[spatial], "2026-01-10")
    register.step(
        register.cases["space_code"].iloc[0], "销号", person="甲某", on_date="2026-01-30", verdict="误判"
    )
    register.save()
    more = pd.DataFrame(register_rows(checkup.city, 2025, register))
    checkup.values = pd.concat([checkup.values, more], ignore_index=True)
    return checkup


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_register_tells_status_age_and_rates(booked, lang):
    page = "".join(
        str(one)
        for one in (
            cases.lead(booked, lang),
            cases.status_table(booked, lang),
            cases.rates_table(booked, lang),
            cases.register_table(booked, lang),
        )
    )
    assert faults(page, booked.values) == []
    assert ">50.0</span>%" in page and ">20</span>" in page  # one of two closed; after twenty days
    assert {"zh": "误判", "en": "false change"}[lang] in page


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_sheet_shows_the_place_before_and_after(booked, lang):
    page = cases.sheets(booked, lang, most=1, level=4)
    assert faults(page, booked.values) == []
    assert page.count("<figure") == 1 and page.count('class="sheet"') == 1
    assert "甲某" in page and {"zh": "控制线", "en": "Line"}[lang] in page
    picture = cases.chips(booked, booked.findings[booked.findings["finding_id"] == "f1"].iloc[0], lang)
    assert picture is not None and len(picture.png) > 4_000


@pytest.mark.parametrize("own", [True, False])
def test_a_sheet_has_the_images_where_some_were_drawn(booked, own, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    case = booked.findings[booked.findings["finding_id"] == "f1"].iloc[0]
    code = str(case["space_code"]) if own else "412025000000000000000001"
    path = chip_file(booked.city.name, booked.year, code)
    path.parent.mkdir(parents=True)
    Image.new("RGB", (40, 20), "green").save(path)
    found = gpd.GeoDataFrame(
        {"space_code": [code], "line": ["permits"]},
        geometry=[case.geometry.buffer(3)],
        crs=booked.findings.crs,
    )
    booked.data = SimpleNamespace(has=lambda role, year=None: True, vector=lambda role, year=None: found)
    figure = cases.seen_from_above(booked, case, "zh")
    assert figure is not None and figure.png == path.read_bytes() and figure.sensitivity == "敏感"
    shown = re.sub(r"<[^>]+>", "", str(figure.caption))
    assert str(case["space_code"]) in shown  # the sheet's own code, whichever case the picture was drawn for
    assert ("同处一地" in shown and code in shown) is not own
    away = case.copy()
    away["space_code"], away["geometry"] = "", translate(case.geometry, 5_000, 5_000)
    assert cases.seen_from_above(booked, away, "zh") is None


def test_without_a_register_the_chapter_says_so(checkup, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    assert "尚未建立案件台账" in cases.lead(checkup, "zh")
    assert cases.status_table(checkup, "zh") is None and cases.register_table(checkup, "zh") is None
    assert "未登记办理经过" in cases.sheets(checkup, "zh", most=1)
