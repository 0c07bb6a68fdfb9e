"""The change on last year in four parts: real, data, definition, code; each planted alone and all together."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.conftest import PROFILE
from workbench.core.city import load_city
from workbench.core.errors import ParameterError
from workbench.evaluation.checkup import checkup
from workbench.evaluation.compare import (
    DECOMPOSED,
    PARTS,
    _parts,
    _Steps,
    decompose,
    definitions_before,
)
from workbench.indicators.compute import compute
from workbench.indicators.library import load_former, load_library

UNIT = 10_000 / 15 * 1e4
"""Square metres of 10,000 mu."""


@pytest.fixture(scope="module")
def revised(root):
    """The two fields with a table of revised definitions: TJ-A07 counted dry land until 2024."""
    rows = {
        "indicator": ["TJ-A07", "TJ-D01"], "version_before": ["0", "0"], "version_after": ["1", "1"],
        "valid_from": ["2025-01-01", "2023-01-01"], "codes_before": ["0103", "0103"],
    }  # fmt: skip
    pd.DataFrame(rows).to_parquet(root / "source" / "definition_revisions.parquet")
    extra = '[layers.definition_revisions]\npath = "definition_revisions.parquet"\nkind = "table"\n'
    text = PROFILE.replace('name = "fields"', 'name = "fields_revised"').replace(
        "[[targets]]", extra + "[[targets]]", 1
    )
    (root / "fields_revised.toml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(root / "home"))
        yield checkup(load_city(root / "fields_revised.toml", data_root=root), 2025)


def told(checkup_, ids, edition, **changes):
    """What last year's report said: values of 2024 from an edition of the data, in the way a run keeps them."""
    library = {**checkup_.definitions, **definitions_before(checkup_, 2024)}
    rows = compute(
        checkup_.city, 2024, ids, levels=("city",), edition=edition, store=checkup_.data, library=library
    )
    return rows.assign(edition="latest", **changes)


def test_revised_data_and_real_change(result, home_of_result):
    """First published 155,000 m², known today as 160,000, now 158,000."""
    row = decompose(result).set_index("indicator").loc["TJ-A11"]
    published, now = row["before_published"], row["now"]
    assert (published * UNIT, row["before_restated_data"] * UNIT, now * UNIT) == pytest.approx(
        (155e3, 160e3, 158e3), rel=1e-4
    )
    assert row["data_revision"] * UNIT == pytest.approx(5e3, rel=1e-3)
    assert row["real_change"] * UNIT == pytest.approx(-2e3, rel=1e-3)
    assert (row["definition_revision"], row["code_revision"], row["basis"]) == (0.0, 0.0, "recomputed")
    assert row["total_change"] == pytest.approx(now - published)


def test_every_row_adds_up_exactly(result, home_of_result):
    frame = decompose(result)
    assert list(frame.columns) == DECOMPOSED
    known = frame.dropna(subset=[*PARTS])
    assert len(known) >= 3
    assert (known[list(PARTS)].T.sum() == known["total_change"]).all()
    missing = frame[frame["total_change"].isna()]
    assert missing["reason_zh"].ne("").all() and missing["reason_en"].ne("").all()


def test_a_revised_definition_of_the_city(revised, home_of_result):
    """Dry land was all of the city; rivers and lakes are none of it: minus 100 points, none of them real."""
    assert set(definitions_before(revised, 2024)) & {"TJ-A07", "TJ-D01"} == {"TJ-A07"}, (
        "the other was revised earlier"
    )
    row = decompose(revised, ids=["TJ-A07"]).iloc[0]
    assert (row["before_published"], row["definition_revision"], row["now"]) == pytest.approx(
        (100.0, -100.0, 0.0), rel=1e-6
    )
    assert (row["real_change"], row["data_revision"], row["former_version"]) == (0.0, 0.0, "0")


def test_what_the_report_said_tells_the_code_from_the_data(revised, home_of_result):
    """Same data and definition as then, another number: the code. Data of no edition, same code: the data."""
    ids = ["TJ-A11", "TJ-A07"]
    first = told(revised, ids, "original")
    wrong = first.assign(value=first["value"] * 1.01, code_version="0.0.9+old")
    row = decompose(revised, ids=ids, published=wrong).set_index("indicator").loc["TJ-A11"]
    assert row["code_revision"] * UNIT == pytest.approx(-1550.0, rel=1e-3)
    assert row["data_revision"] * UNIT == pytest.approx(5e3, rel=1e-3)
    assert row["basis"] == "published" and row["total_change"] == pytest.approx(
        row["now"] - row["before_published"]
    )
    other = first.assign(value=first["value"] * 1.01, inputs_hash="0" * 16)
    row = decompose(revised, ids=ids, published=other).set_index("indicator").loc["TJ-A11"]
    assert row["code_revision"] == 0.0
    assert row["data_revision"] * UNIT == pytest.approx(5e3 - 1550.0, rel=1e-3)


def test_a_report_on_the_revised_data_has_no_data_revision(revised, home_of_result):
    row = decompose(revised, ids=["TJ-A11"], published=told(revised, ["TJ-A11"], "latest")).iloc[0]
    assert row["before_published"] * UNIT == pytest.approx(160e3, rel=1e-4)
    assert (row["data_revision"], row["code_revision"]) == (0.0, 0.0)


def test_a_report_by_the_definition_of_today_has_no_definition_revision(revised, home_of_result):
    """The report says by its version which definition made it."""
    rows = compute(revised.city, 2024, ["TJ-A07"], levels=("city",), store=revised.data)
    row = decompose(revised, ids=["TJ-A07"], published=rows).iloc[0]
    assert (row["before_published"], row["definition_revision"], row["former_version"]) == (0.0, 0.0, "")


def test_the_latest_kept_report_is_found(revised, root, home_of_result):
    folder = home_of_result / "reports" / revised.city.name / "2024" / "latest"
    folder.mkdir(parents=True)
    told(revised, ["TJ-A11"], "original").to_parquet(folder / "values.parquet")
    row = decompose(revised, ids=["TJ-A11"]).iloc[0]
    assert row["basis"] == "published" and row["before_published"] * UNIT == pytest.approx(155e3, rel=1e-4)
    (folder / "values.parquet").unlink()


def test_years_out_of_order(result, home_of_result):
    with pytest.raises(ParameterError, match="the years are out of order"):
        decompose(result, 2026)


def test_former_definition_of_the_library():
    """A walk of five minutes to a park was counted otherwise before; both stand in the library."""
    former, now = load_former()["TJ-F26"], load_library()["TJ-F26"]
    assert former.definition_version != now.definition_version


numbers = st.floats(-1e9, 1e9, allow_nan=False)


@given(numbers, numbers, numbers, numbers, numbers)
def test_parts_always_add_up_to_the_total(now, published, first, redated, redefined):
    steps = _Steps.__new__(_Steps)
    row = {"unit": "km2", "decimals": 2, "inputs_hash": "a", "code_version": "1"}
    steps.first = {"x": row | {"value": first}}
    steps.redated = {"x": row | {"value": redated, "inputs_hash": "b"}}
    steps.redefined = {"x": row | {"value": redefined}}
    steps.former = {}
    told_row = row | {"value": published}
    found = _parts("x", pd.Series(row | {"value": now}), told_row, steps)
    total = sum(found[part] for part in PARTS)
    assert total == found["total_change"]
    scale = max(map(abs, (now, published, first, redated, redefined, 1.0)))
    assert total == pytest.approx(now - published, abs=1e-9 * scale)
    hectares = _parts(
        "x", pd.Series(row | {"value": now}), told_row | {"unit": "ha", "value": published * 100}, steps
    )
    assert hectares["before_published"] == pytest.approx(published, abs=1e-9 * scale)
    none = _parts("x", pd.Series(row | {"value": now}), told_row | {"unit": "person"}, steps)
    assert none["total_change"] != none["total_change"] and none["reason_en"]
