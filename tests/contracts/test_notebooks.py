"""What every notebook keeps to: order, parameters, thinness, no outputs."""

import ast
import json
from pathlib import Path

import pytest

from workbench.core.paths import PACKAGE

ROOT = PACKAGE.parent / "notebooks"
NOTEBOOKS = sorted(p for p in ROOT.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
SECTIONS = ["Question", "Data", "Parameters", "Load", "Compute", "Look", "Meaning", "Provenance"]
TAGS = {"parameters", "report", "dashboard"}
LONGEST_CELL = 15


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.relative_to(ROOT).as_posix())
def notebook(request):
    return json.loads(Path(request.param).read_text(encoding="utf-8"))


def code(notebook):
    return [(c, "".join(c["source"])) for c in notebook["cells"] if c["cell_type"] == "code"]


def test_the_shipped_notebooks_are_there():
    names = {p.relative_to(ROOT).as_posix() for p in NOTEBOOKS}
    assert {"00_start_here.ipynb", "evaluation/city_checkup.ipynb", "evaluation/control_lines.ipynb"} <= names


def test_sections_in_the_fixed_order(notebook):
    lines = [
        line
        for c in notebook["cells"]
        if c["cell_type"] == "markdown"
        for line in "".join(c["source"]).splitlines()
    ]
    assert [line[3:].strip() for line in lines if line.startswith("## ")] == SECTIONS


def test_one_parameters_cell_of_annotated_plain_values_with_comments(notebook):
    tagged = [source for cell, source in code(notebook) if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    statements = ast.parse(tagged[0]).body
    assert all(isinstance(s, ast.AnnAssign) and isinstance(s.value, ast.Constant) for s in statements)
    assert [s.target.id for s in statements][:4] == ["city", "year", "lang", "run_dir"]
    assert all("#" in line for line in tagged[0].splitlines())


def test_thin_cells_that_only_call_the_package(notebook):
    for _, source in code(notebook):
        assert len(source.splitlines()) <= LONGEST_CELL
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.For | ast.While | ast.Lambda
            )
            assert not (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/")
            )


def test_known_tags_only(notebook):
    assert {tag for cell, _ in code(notebook) for tag in cell["metadata"].get("tags", [])} <= TAGS


def test_kept_without_outputs_with_stable_ids_and_our_kernel(notebook):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell, _ in code(notebook))
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert notebook["metadata"]["kernelspec"]["name"] == "workbench-cpu"


def test_report_headings_have_both_languages(notebook):
    headings = [cell["metadata"]["report"] for cell, _ in code(notebook) if "report" in cell["metadata"]]
    assert all(set(h) == {"zh", "en"} and all(h.values()) for h in headings)
