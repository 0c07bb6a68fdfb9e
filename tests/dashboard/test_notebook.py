from __future__ import annotations

from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.core.errors import ParameterError
from workbench.dashboard.address import Address
from workbench.dashboard.notebook import PRELUDE, check, imports, prepare


def _cell(source: str, *tags: str) -> Any:
    return new_code_cell(source, metadata={"tags": list(tags)})


def _sources(notebook: Any) -> list[str]:
    return [cell["source"] for cell in notebook["cells"]]


PARAMETERS = _cell('city: str = "demo"\nyear: int = 2024', "parameters")


PAGE = _cell("y", "dashboard")


def test_parameters_are_set_after_their_cell_and_report_cells_go() -> None:
    book = new_notebook(cells=[PARAMETERS, _cell("x", "report"), PAGE])
    page = prepare(book, Address("d'x", 2025, "en"), "/run")
    assert _sources(page) == [
        PRELUDE,
        PARAMETERS["source"],
        "city = \"d'x\"\nyear = 2025\nlang = 'en'\nrun_dir = '/run'",
        "y",
    ]
    assert len(book["cells"]) == 3


def test_a_page_draws_its_dashboard_cells_and_nothing_else() -> None:
    book = new_notebook(
        cells=[
            new_markdown_cell("# t"),
            PARAMETERS,
            _cell("import math\nresult = 1"),
            _cell("result"),
            _cell("show(result)", "dashboard"),
            _cell("later = 2"),
        ]
    )
    assert _sources(prepare(book, Address("demo", 2025)))[3:] == ["import math\nresult = 1", "show(result)"]


def test_a_notebook_without_parameters_is_refused() -> None:
    with pytest.raises(ParameterError, match="one cell tagged 'parameters'"):
        prepare(new_notebook(cells=[PAGE]), Address("demo", 2025))


def test_a_notebook_without_a_dashboard_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"lines.ipynb: no cell of this notebook is tagged 'dashboard'"):
        check(new_notebook(cells=[PARAMETERS, _cell("x")]), "lines.ipynb")


def test_a_kernel_can_do_the_imports_of_the_page_beforehand() -> None:
    book = new_notebook(
        cells=[
            PARAMETERS,
            _cell("import math\nfrom json import dumps\nx = math.pi"),
            _cell("import late", "report"),
            _cell("import math\nfrom csv import reader as r\nshow(x)", "dashboard"),
        ]
    )
    assert imports(book) == "import math\nfrom json import dumps\nfrom csv import reader as r"
