"""The report of the demo city, read as a machine can: whole, self-contained, every numeral accounted for."""

import json
import re

import pandas as pd
import pytest

from workbench.catalog.data import CityData
from workbench.core.city import load_city
from workbench.indicators.changes import city_library
from workbench.reporting.formats import write_formats
from workbench.reporting.run import run_report

from .leaks import leaks
from .numerals import Page, faults
from .print_numerals import pages_that_differ, pdf_page, word_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["zh", "en"])
def report(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    return run_report("annual_checkup", "demo", lang=request.param, out_dir=out, quiet=True)


@pytest.fixture(scope="module")
def public(report):
    """What was made of the report for the public."""
    return write_formats(report.path.parent, edition="public")


def test_every_chapter_stands(report):
    record = json.loads((report.path.parent / "run.json").read_text(encoding="utf-8"))
    assert {name: c["status"] for name, c in record["chapters"].items()} == dict.fromkeys(
        record["chapters"], "ok"
    )


def test_every_numeral_comes_from_the_value_table(report):
    values = pd.read_parquet(report.path.parent / "values.parquet")
    page = report.path.read_text(encoding="utf-8")
    assert faults(page, values) == []
    assert len({value_id for value_id, _ in Page(page).numbers}) > 40


def test_the_page_asks_for_nothing(report):
    page = report.path.read_text(encoding="utf-8")
    asked = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)|url\(([^)]*)\)""", page)
    assert {(a or b)[:5] for a, b in asked} <= {"data:"} | {
        (a or b)[:5] for a, b in asked if (a or b).startswith("#")
    }
    assert "<script" not in page


def test_every_picture_has_words_and_a_caption(report):
    page = report.path.read_text(encoding="utf-8")
    pictures = re.findall(r"<img\b[^>]*>", page)
    assert len(pictures) >= 4
    assert all(re.search(r'alt="[^"]+"', picture) for picture in pictures)
    assert page.count("<figure") == page.count("<figcaption")


def test_word_and_pdf_account_for_every_digit(report):
    folder = report.path.parent
    assert report.unwritten == []
    values = pd.read_parquet(folder / "values.parquet")
    printed = Page(report.path.read_text(encoding="utf-8")).numbers
    word = word_page(folder / "report.docx")
    assert faults(word, values) == []
    assert Page(word).numbers == printed
    assert pages_that_differ(folder / "report.pdf", folder / "numbers.parquet") == []
    assert faults(pdf_page(folder / "numbers.parquet"), values) == []
    assert set(printed) <= set(Page(pdf_page(folder / "numbers.parquet")).numbers)


def test_the_public_edition_prints_nothing_closed(report, public):
    folder = report.path.parent
    assert {found["status"] for found in public["files"].values()} <= {"ok", "none"}
    values = pd.read_parquet(folder / "values.parquet").set_index("value_id")
    shown = Page((folder / "public" / "report.html").read_text(encoding="utf-8")).numbers
    assert {values.loc[value_id, "sensitivity"] for value_id, _ in shown} == {"公开"}
    listed = pd.read_parquet(folder / "public" / "numbers.parquet")["value_id"].dropna()
    assert set(values.loc[listed, "sensitivity"]) == {"公开"}
    assert public["refused"]


def test_the_public_edition_tells_nothing_of_what_is_closed(report, public):
    folder = report.path.parent
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    city = load_city(run["city"])
    assert city.layers["permits"].sensitivity != "公开"
    titles = {name: one.title(run["lang"]) for name, one in city_library(city).items()}
    assert leaks(folder, CityData(city).vector("permits"), titles, run["lang"]) == []
