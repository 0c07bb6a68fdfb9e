"""A notebook made into a dashboard page: which cells stay, and which parameters they get."""

from __future__ import annotations

import ast
import copy
from typing import Any

from workbench.core.errors import ParameterError
from workbench.dashboard.address import Address

TAG = "dashboard"
"""Tag of the cells that are the page."""


def tags(cell: Any) -> list[str]:
    """Tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def only_prepares(source: str) -> bool:
    r"""Whether a cell shows nothing of its own: it imports, defines and assigns, and ends in no expression.

    Examples
    --------
    >>> only_prepares("import math\nx = 1"), only_prepares("x = 1\nx")
    (True, False)
    """
    body = ast.parse(source).body
    return not body or not isinstance(body[-1], ast.Expr)


def check(notebook: Any, where: str = "notebook") -> None:
    """Make sure a notebook can be a dashboard.

    Raises
    ------
    ParameterError
        It has not exactly one cell tagged ``parameters``, or no cell tagged ``dashboard``.
    """
    found = [tag for cell in notebook["cells"] for tag in tags(cell)]
    if found.count("parameters") != 1:
        raise ParameterError(
            "a dashboard notebook has one cell tagged 'parameters'",
            where=where,
            found=found.count("parameters"),
            expected=1,
        )
    if TAG not in found:
        raise ParameterError(
            "no cell of this notebook is tagged 'dashboard', so it has nothing to show as a dashboard",
            where=where,
            hint="tag the cell that makes the page, or choose another notebook (docs/add_a_notebook.md)",
        )


def dashboard_cells(notebook: Any) -> list[Any]:
    """Cells of the page, in order: those tagged ``dashboard``, and before them what only prepares.

    Imports, assignments and the parameters stay; what would show something of its own goes, so that nothing is drawn
    twice.
    """
    cells = [cell for cell in notebook["cells"] if "report" not in tags(cell)]
    last = max(at for at, cell in enumerate(cells) if TAG in tags(cell))
    return [
        cell
        for at, cell in enumerate(cells)
        if TAG in tags(cell)
        or (
            at < last
            and cell["cell_type"] == "code"
            and ("parameters" in tags(cell) or only_prepares(cell["source"]))
        )
    ]


def imports(notebook: Any) -> str:
    r"""Import statements of the page's cells: what a kernel can do before anybody asks for the page.

    Examples
    --------
    >>> page = {"cells": [{"cell_type": "code", "metadata": {"tags": ["dashboard"]}, "source": "import math\n1"}]}
    >>> imports(page)
    'import math'
    """
    lines = [
        ast.unparse(statement)
        for cell in dashboard_cells(notebook)
        if cell["cell_type"] == "code"
        for statement in ast.parse(cell["source"]).body
        if isinstance(statement, ast.Import | ast.ImportFrom)
    ]
    return "\n".join(dict.fromkeys(lines))


def parameter_cell(address: Address, run_dir: str) -> Any:
    """Code cell that sets the four parameters; the values are written as literals."""
    from nbformat.v4 import new_code_cell

    values = {"city": address.city, "year": address.year, "lang": address.lang, "run_dir": run_dir}
    source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    return new_code_cell(source, metadata={"tags": ["injected-parameters"]})


PRELUDE = """import sys
sys.modules.setdefault("rfc3987_syntax", None)"""
"""First cell of a page. An optional format check of JSON schemas builds a grammar for one to three seconds when it is
imported; nothing on a page uses it, and jsonschema goes without when it is absent."""


def prelude_cell() -> Any:
    """Code cell with :data:`PRELUDE`."""
    from nbformat.v4 import new_code_cell

    return new_code_cell(PRELUDE, metadata={"tags": ["injected-prelude"]})


def prepare(notebook: Any, address: Address, run_dir: str = "") -> Any:
    """Copy of a notebook for one page, its parameters set after the cell tagged ``parameters``.

    Raises
    ------
    ParameterError
        The notebook cannot be a dashboard; see :func:`check`.
    """
    check(notebook)
    page = copy.deepcopy(notebook)
    cells = dashboard_cells(page)
    place = next(at for at, cell in enumerate(cells) if "parameters" in tags(cell))
    cells.insert(place + 1, parameter_cell(address, run_dir))
    page["cells"] = [prelude_cell(), *cells]
    return page
