"""One byte of one input changed: exactly the values that rest on it are stale, and a new checkup computes exactly these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from tests.evaluation.drawn_city import line, statistics_csv, write, write_raster
from workbench.catalog.data import CityData
from workbench.cli import main
from workbench.core.city import City, load_city
from workbench.core.lineage import join, unpack
from workbench.evaluation.checkup import Checkup, checkup
from workbench.evaluation.lineage import Ancestry, families
from workbench.evaluation.states import States, stale
from workbench.indicators import compute as computing
from workbench.indicators.library import load_library

YEARS = {"land_use": (2019, 2024, 2025), "subsidence": (2025,)}
UNDATED = {"districts", "units", "development_boundary", "statistics", "quotas", "permanent_farmland", "permits", "plot_zones"}  # fmt: skip
TARGETS = {"TJ-A10", "TJ-A11"}
BOOKS = ("quota_granted", "quota_in", "quota_left", "quota_out", "quota_share", "quota_total", "quota_transfer",
         "quota_unassigned", "quota_used")  # fmt: skip
PATHS = ("expected", "deviation", "base", "since_base", "projected", "done_pct", "time_pct", "verdict")
GAPS = ("gaps", "inapplicable", "unlocks_alone", "unlocks_more", "state", "on_layers")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder, city and its checkup of 2025."""
    folder = tmp_path_factory.mktemp("stale")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        city = write(folder)
        yield folder, city, checkup(city, 2025)


@pytest.fixture
def again(place):
    """Put every source file back as it was after a test."""
    folder, _, _ = place
    kept = {path: path.read_bytes() for path in (folder / "source").iterdir()}
    yield folder / "source"
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def one_byte(path: Path) -> None:
    """Change a byte of a file so that it can still be read."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".csv":
        at = content.index(b"25.5")
        content[at : at + 1] = b"3"
    elif path.suffix == ".tif":
        at = content.rindex(np.float32(16).tobytes())
        content[at] ^= 1  # the least significant bit of the last cell
    else:
        at = content.rindex(b'"library": "pyarrow"') + len(b'"library": "pyarro')
        content[at : at + 1] = b"W"
    assert sum(a != b for a, b in zip(content, path.read_bytes(), strict=True)) == 1
    path.write_bytes(bytes(content))


def told(city: City, result: Checkup) -> pd.DataFrame:
    """Values of a checkup that are stale now."""
    return stale(result.values, result.lineage, States(city, CityData(city), 2025))


def reads(indicator: str, year: int, role: str) -> bool:
    """Whether a value of the year rests on a layer: a method is tried when the city has all its layers, until one gives a value."""
    for method in load_library()[indicator].methods:
        scope = method.scope or load_library()[indicator].scope
        there = all(one in UNDATED or year in YEARS.get(one, ()) for one in method.inputs)
        if scope != "市域" or not there:
            continue
        if role in method.inputs:
            return True
        if method.basis != "reported":
            return False
    return False


def expected(
    values: pd.DataFrame,
    own: set[tuple[str, str, int]],
    *,
    layer: str = "",
    line: str = "",
    books: bool = False,
    rules: set[str] = frozenset(),
    cases: bool = False,
    original: set[str] = frozenset(),
) -> set[str]:
    """Ids of the values that rest on an input, from the names of the rows alone.

    ``own`` are the indicator values that read it, ``layer`` its role, ``line`` the line of its cases, ``rules`` rules on
    layers that look at it, ``cases`` whether it shows changes, ``books`` whether accounts are kept by it, ``original``
    indicators whose former value read a first edition of it.
    """
    library = load_library()
    now = {name for name, level, year in own if year == 2025 and level == "city"}
    ever = {name for name, level, _ in own if level == "city"}
    near = {name for name, level, year in own if level == "city" and year in (2024, 2025)}
    judged = {"TJ-A11", "TJ-D07", "TJ-A07", "TJ-A10", "TJ-B11", "TJ-D01"}  # by a path, a floor or a trend
    fields = {"all", *(library[name].dimension for name in now)}
    graded = fields | {library[name].dimension for name in ever & judged}
    found = set()
    for row in values.to_dict("records"):
        name, level, zone = row["indicator"], row["level"], row["zone"]
        kind, _, rest = name.partition(".")
        head, _, about = rest.partition(".")
        subject = about.rpartition(".")[2]
        if level == "target":
            hit = False
        elif kind not in ("report", "case"):
            hit = (name, level, row["year"]) in own
        elif kind == "case":
            of_now = zone.startswith(
                {"permanent_farmland": "YJJBNT", "development_boundary": "CZKFBJ"}.get(line, "-")
            )
            hit = of_now or (cases and head != "former_m2")
        elif head in ("change", "change_pct"):
            hit = subject in near
        elif head in ("parts",):
            hit = subject in near | original
        elif head == "parts_count":
            hit = bool(near | original)
        elif head in PATHS:
            hit = subject in ever
        elif head in ("gap", "gap_pct"):
            hit = subject in now
        elif head in ("computed", "missing"):
            hit = zone in fields and bool(now)
        elif head in ("rated", "unrated", *(f"level_{n}" for n in range(5))):
            hit = zone in graded and bool(ever)
        elif head in GAPS or head == "peers":
            hit = bool(now)
        elif head in ("rules", "findings_no_data", *(f"findings_{n}" for n in range(5))):
            hit = bool(now | (ever & judged) or rules)
        elif head in ("targets_valued", "targets_met"):
            hit = bool(now & TARGETS)
        elif head == "verdicts":
            hit = bool(ever & TARGETS)
        elif head == "former":
            hit = bool(line) if zone == "patches" else bool(ever)
        elif head in BOOKS or head.startswith("quota_used"):
            hit = books
        elif head in ("assigned", "parts_assigned"):
            hit = layer in ("plot_zones", "quotas")
        elif head == "quota_gap":
            hit = layer in ("plot_zones", "quotas") or any(n == subject and y == 2025 for n, _, y in own)
        elif head.startswith("cases") or head == "permit":
            hit = cases or (bool(line) and zone.partition("/")[0] in ("all", line))
        elif head in ("problems", "problem_findings"):
            of = {"line": cases or bool(line), "indicator": bool(ever & judged), "ledger": books,
                  "data": bool(now or rules), "permits": False}  # fmt: skip
            hit = (
                (of["line"] or of["indicator"] or of["ledger"])
                if zone == "all"
                else of[zone.partition("/")[0]]
            )
            if head == "problem_findings" and zone.startswith("indicator/"):
                hit = zone.partition("/")[2] in ever
            if head == "problem_findings" and zone.startswith("line/"):
                hit = cases or zone == f"line/{line}"
        elif head == "quarter":
            hit = about == "patches" and (cases or bool(line))
        elif head in ("total", "targets", "scope_km2", "projects"):
            hit = False
        else:
            hit = head in rules and (zone in (layer, "drawn"))
        if hit:
            found.add(row["value_id"])
    return found


def owners(values: pd.DataFrame, role: str, *years: int) -> set[tuple[str, str, int]]:
    """Indicator values that read a layer, of all levels; ``years`` for a layer dated by year."""
    own = values[
        ~values["tier"].isin(["target", "derived"])
        & values["level"].isin(["city", "district", "unit", "plot"])
    ]
    keys = {(r.indicator, r.level, int(r.year)) for r in own.itertuples()}
    return {key for key in keys if (not years or key[2] in years) and reads(key[0], key[2], role)}


def sets(values: pd.DataFrame) -> dict[str, set[str]]:
    """File -> ids of the values that rest on it."""
    plots = {key for key in owners(values, "land_use") if key[1] == "plot"}
    return {
        "permanent_farmland.parquet": expected(
            values,
            owners(values, "permanent_farmland"),
            layer="permanent_farmland",
            line="permanent_farmland",
        ),
        "subsidence_2025.tif": expected(values, owners(values, "subsidence", 2025), layer="subsidence"),
        "statistics.csv": expected(values, owners(values, "statistics"), layer="statistics"),
        "plots.parquet": expected(values, plots, layer="plot_zones", books=True),
        "land_use_2024.parquet": expected(
            values, set(), original={name for name, _, year in owners(values, "land_use", 2024)}
        ),
        "land_use_2025.parquet": expected(
            values,
            owners(values, "land_use", 2025),
            layer="land_use",
            cases=True,
            books=True,
            rules={"stated_area"},
        ),
    }


FILES = [
    "permanent_farmland.parquet",
    "subsidence_2025.tif",
    "statistics.csv",
    "plots.parquet",
    "land_use_2024.parquet",
    "land_use_2025.parquet",
]


@pytest.mark.parametrize("file", FILES)
def test_one_byte_of_an_input_marks_exactly_what_rests_on_it(place, again, file):
    _, city, result = place
    wanted = sets(result.values)[file]
    assert told(city, result).empty
    one_byte(again / file)
    found = told(city, result)
    assert found["input"].nunique() == 1 and (found["then"] != found["now"]).all()
    marked = set(found["value_id"])
    names = result.values.set_index("value_id")[["indicator", "level", "zone", "year"]]
    assert names.loc[sorted(marked - wanted)].to_records().tolist() == []
    assert names.loc[sorted(wanted - marked)].to_records().tolist() == []
    assert 0 < len(marked) < len(result.values)


def test_what_really_changes_was_marked_and_only_that_is_computed_again(place, again, monkeypatch):
    """New contents instead of one byte: every value, count, case and account that comes out otherwise had been marked."""
    _, city, result = place
    changes = {
        "statistics.csv": lambda path: path.write_text(statistics_csv("1.5"), encoding="utf-8"),
        "permanent_farmland.parquet": lambda path: line(2.5).to_parquet(path),
        "subsidence_2025.tif": lambda path: write_raster(path, np.full((2, 8), 3.0)),
    }
    computed: list[tuple[str, str, int]] = []
    original = computing._rows

    def watched(run, indicator, level, *rest):
        if rest[-1] is not None:  # with its lineage; what restates the year before is a step of its own
            computed.append((indicator.id, level, run.year))
        return original(run, indicator, level, *rest)

    for file, change in changes.items():
        change(again / file)
        marked = set(told(city, result)["value_id"])
        with monkeypatch.context() as patch:
            patch.setattr(computing, "_rows", watched)
            computed.clear()
            fresh = checkup(city, 2025)
        both = result.values.merge(
            fresh.values, on="value_id", how="outer", suffixes=("", "_now"), indicator=True
        )
        differs = ~((both["value"] == both["value_now"]) | (both["value"].isna() & both["value_now"].isna()))
        moved = both[differs & (both["_merge"] == "both")]
        assert len(moved) >= 3 and set(moved["value_id"]) <= marked
        assert set(both.loc[both["_merge"] == "left_only", "value_id"]) <= marked
        rows = result.values[
            result.values["value_id"].isin(marked) & ~result.values["tier"].isin(["target", "derived"])
        ]
        assert sorted(computed) == sorted({(r.indicator, r.level, r.year) for r in rows.itertuples()})
        assert told(city, fresh).empty
        pd.testing.assert_frame_equal(fresh.values, checkup(city, 2025, use_cache=False).values)
        result = fresh
    assert len(computed) == 2  # the city and its districts in 2025, and nothing of 2024


def test_nothing_is_computed_when_nothing_changed(place, again, monkeypatch):
    _, city, _ = place
    result = checkup(city, 2025)

    def fail(*args):
        raise AssertionError("computed again")

    monkeypatch.setattr(computing, "_rows", fail)
    pd.testing.assert_frame_equal(checkup(city, 2025).lineage, result.lineage)
    (again / "statistics.csv").write_text(statistics_csv("1.25"), encoding="utf-8")
    with pytest.raises(AssertionError, match="computed again"):
        checkup(city, 2025)


def test_definition_targets_and_profile_are_inputs_too(place):
    folder, city, result = place
    text = city.path.read_text(encoding="utf-8")
    (folder / "own.toml").write_text('["TJ-A24"]\nsource = "市规划条例"\n', encoding="utf-8")
    edits = {
        "targets": text.replace("value = 0.0225", "value = 0.0226"),
        "profile": text.replace("base_year = 2019", "base_year = 2020"),
        "definition:TJ-A24": text.replace("[city]", '[city]\nindicator_changes = "own.toml"', 1),
        "rules": text.replace('"control_lines", ', ""),
    }
    for name, changed in edits.items():
        (folder / "edited.toml").write_text(changed, encoding="utf-8")
        other = load_city(folder / "edited.toml", data_root=folder)
        found = stale(result.values, result.lineage, States(other, CityData(other), 2025))
        assert name in set(found["input"])
        about = set(found.loc[found["input"] == name, "indicator"])
        if name == "targets":
            assert {"TJ-A11", "report.gap.TJ-A10", "report.targets_met", "report.verdicts"} <= about
            assert set(found["input"]) == {"targets"} and "report.change.TJ-A11" not in about
        if name == "definition:TJ-A24":
            assert {"TJ-A24", "report.change.TJ-A24", "report.computed"} <= about and "TJ-A11" not in about
        if name == "profile":
            assert len(found[found["input"] == name]) == (result.values["level"] != "target").sum()


def test_every_kind_of_row_says_what_it_is_made_of(place):
    _, _, result = place
    ancestry = Ancestry(result, {}, States(result.city, result.data, 2025))
    everything = ancestry._everything()
    derived = result.values[result.values["tier"] == "derived"]
    for row in derived.drop_duplicates("indicator").to_dict("records"):
        head = row["indicator"].partition(".")[2].partition(".")[0]
        known = row["level"] == "case" or head in ancestry._rules
        assert known or any(head in heads for heads in families().values()), row["indicator"]
    assert set(everything) > {"land_use-2019", "statistics", "targets"}
    assert set(
        ancestry.of({"value_id": "x", "indicator": "report.unheard", "level": "report", "zone": ""})
    ) > set(everything)
    assert result.lineage["value_id"].tolist() == result.values["value_id"].tolist()
    assert (result.lineage["made_of"] != "").all()
    assert unpack(result.lineage.set_index("value_id").at[result.get("TJ-A11")["value_id"], "made_of"]).keys() == {
        "definition:TJ-A11", "districts", "land_use-2025", "profile"}  # fmt: skip
    assert join(["a=1 b-2025=2", "b-2025=2"]) == {"a": "1", "b-2025": "2"}


def test_the_command_and_the_trace_mark_what_is_stale(place, again):
    folder, city, result = place
    run = folder / "home" / "reports" / city.name / "2025" / "first"
    result.save(run)
    (run / "run.json").write_text(
        f'{{"city": "{city.name}", "profile": "{city.path}", "year": 2025, "run_id": "first", "started": "today"}}',
        "utf-8",
    )
    (run.parent / "latest").unlink(missing_ok=True)
    (run.parent / "latest").symlink_to("first")
    call = lambda *arguments: CliRunner().invoke(main, [*arguments, "--data-root", str(folder)])  # noqa: E731
    good = call("stale", "--city", str(city.path))
    assert (good.exit_code, good.output.splitlines()[-1]) == (
        0,
        "nothing is stale: every input is what it was in the run",
    )
    one_byte(again / "subsidence_2025.tif")
    found = call("stale", "--city", str(city.path), "--run", str(run), "--all")
    assert found.exit_code == 1
    marked = told(city, result)
    assert f"{marked['value_id'].nunique()} stale values" in found.output
    assert all(id_ in found.output for id_ in marked["value_id"])
    assert result.get("TJ-A11")["value_id"] not in found.output
    assert "subsidence-2025" in found.output.splitlines()[1]
    short = call("stale", "--city", str(city.path))
    assert "more (--all lists them)" in short.output and len(short.output) < len(found.output)
    mine, other = (str(result.get(name)["value_id"]) for name in ("TJ-A24", "TJ-A11"))
    text = " ".join(call("trace", mine).output.split())
    assert "changed since the run" in text and "stale yes, 1 of 4 inputs changed" in text
    assert "stale no, every input is as it was" in " ".join(call("trace", other).output.split())
    count = str(result.get("report.computed", "report", "all")["value_id"])
    text = " ".join(call("trace", count).output.split())
    assert "stale yes, 1 of" in text and "more inputs, unchanged since the run" in text


def test_a_run_that_does_not_say_is_an_error(place, tmp_path):
    _, city, result = place
    result.save(tmp_path)
    (tmp_path / "lineage.parquet").unlink()
    old = CliRunner().invoke(main, ["stale", "--city", str(city.path), "--run", str(tmp_path)])
    assert old.exit_code == 2 and "make the report again" in old.output
    none = CliRunner().invoke(main, ["stale", "--city", str(city.path), "--year", "2024"])
    assert none.exit_code == 2 and "workbench report --city drawn --year 2024" in none.output
