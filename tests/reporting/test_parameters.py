import pytest

from workbench.core.errors import ParameterError
from workbench.reporting.parameters import check_parameters, notebook_parameters, parse_value
from workbench.reporting.run import plan

from .conftest import GOOD, write_notebook


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "n.ipynb", "1 + 1")


def test_names_types_defaults_and_comments_are_read(notebook):
    found = notebook_parameters(notebook)
    assert list(found) == ["city", "year", "lang", "run_dir", "limit"]
    assert (found["year"].type, found["year"].default, found["year"].help) == ("int", "2025", "year")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"yaer": 2025}, "did you mean 'year'"),
        ({"year": "2025"}, "wrong type"),
        ({"year": True}, "wrong type"),
        ({"year": 2025.0}, "wrong type"),
        ({"city": None}, "wrong type"),
    ],
)
def test_misspelt_and_mistyped_parameters_are_refused(notebook, given, word):
    with pytest.raises(ParameterError, match=word):
        check_parameters(notebook, given)


def test_right_parameters_pass(notebook):
    check_parameters(notebook, {"city": "demo", "year": 2024, "limit": 5})


def test_text_becomes_the_declared_type(notebook):
    assert parse_value(notebook, "limit", "7") == 7
    assert parse_value(notebook, "city", "7") == "7"
    with pytest.raises(ParameterError, match="cannot be read"):
        parse_value(notebook, "limit", "seven")


def test_plan_checks_before_anything_runs(desk):
    book = desk.book(("a", GOOD))
    assert plan(book, str(desk.city)).year == 2025
    assert plan(book, str(desk.city), parameters={"limit": "9"}).tasks[0].parameters["limit"] == 9
    with pytest.raises(ParameterError, match="did you mean 'limit'"):
        plan(book, str(desk.city), parameters={"limti": "9"})
    with pytest.raises(ParameterError, match="2024, 2025"):
        plan(book, str(desk.city), 2019)
    with pytest.raises(ParameterError, match="zh"):
        plan(book, str(desk.city), lang="zz")
    with pytest.raises(ParameterError, match="filled in by the run"):
        plan(book, str(desk.city), parameters={"year": "2024"})
    wrong = desk.book(("a", GOOD), name="wrong", extra={"a": "parameters = { limits = 3 }"})
    with pytest.raises(ParameterError, match="did you mean 'limit'"):
        plan(wrong, str(desk.city))
    assert not desk.out.exists()
