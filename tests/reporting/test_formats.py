"""The files beside the page: each for itself, the public ones apart."""

import pytest

from workbench.core.errors import ParameterError
from workbench.reporting import pdf
from workbench.reporting.document import read_page
from workbench.reporting.formats import failed, parse_formats, write_formats

from .numerals import Page, faults
from .sample_page import VALUES, page


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "report.html").write_text(page(), encoding="utf-8")
    VALUES.to_parquet(tmp_path / "values.parquet")
    return tmp_path


def test_one_that_fails_leaves_the_others(folder, monkeypatch):
    (folder / "checkup.json").write_text('{"profile": "absent.toml"}', encoding="utf-8")
    record = write_formats(folder)
    assert failed(record) == ["tables/annex.xlsx", "maps/annex.gpkg"]
    assert record["files"]["tables/annex.xlsx"]["error"]["name"] == "ProfileError"
    assert {p.name for p in folder.iterdir()} >= {"report.docx", "report.pdf", "numbers.parquet"}
    monkeypatch.setattr(pdf, "TEMPLATE", folder / "absent.typ")
    (folder / "report.pdf").unlink()
    again = write_formats(folder)
    assert again["files"]["report.docx"]["status"] == "ok"
    assert again["files"]["report.pdf"]["status"] == "failed"
    assert not (folder / "report.pdf").exists()


def test_only_what_is_asked_for(folder):
    write_formats(folder, formats=("html", "docx"))
    assert (folder / "report.docx").exists() and not (folder / "report.pdf").exists()


def test_the_public_edition_lies_apart(folder):
    record = write_formats(folder, formats=("html", "docx"), edition="public", review_number="粤S(2025)001号")
    assert record["folder"] == "public" and record["files"]["report.html"]["status"] == "ok"
    assert {item["kind"] for item in record["refused"]} == {"text", "rows", "table", "figure_unknown"}
    public = folder / "public"
    assert not (folder / "report.docx").exists() and (public / "report.docx").exists()
    made = (public / "report.html").read_text(encoding="utf-8")
    assert "67.01" not in made and "STBHHX" not in made and "5,829" not in made
    assert "公开版" in made and "粤S(2025)001号" in made and "<script" not in made
    small = VALUES.assign(value=VALUES["value"].where(~VALUES["value_id"].str.startswith("vsmall"), 5.0))
    assert [f for f in faults(made.replace("&lt;5", "5"), small)] == []
    assert {value_id for value_id, _ in Page(made).numbers} <= set(
        VALUES.loc[VALUES["sensitivity"] == "公开", "value_id"]
    )
    assert read_page(made).headings()[0].number == "1"


def test_formats_are_checked():
    assert parse_formats("pdf,docx") == ("html", "docx", "pdf")
    with pytest.raises(ParameterError, match="did you mean 'docx'"):
        parse_formats("doc")
