"""A notebook made into a dashboard page: which cells stay, and which parameters they get."""

from __future__ import annotations

import ast
import copy
from typing import Any

from workbench.core.errors import ParameterError
from workbench.dashboard.address import Address


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


def dashboard_cells(notebook: Any) -> list[Any]:
    """Cells of the page, in order.

    Cells tagged ``report`` are dropped. Where the notebook has cells tagged ``dashboard``, they are the page: of the
    others only those stay that prepare (imports and assignments), so that nothing is drawn twice.
    """
    cells = [cell for cell in notebook["cells"] if "report" not in tags(cell)]
    if not any("dashboard" in tags(cell) for cell in cells):
        return cells
    last = max(at for at, cell in enumerate(cells) if "dashboard" in tags(cell))
    return [
        cell
        for at, cell in enumerate(cells)
        if "dashboard" in tags(cell)
        or (
            at < last
            and cell["cell_type"] == "code"
            and ("parameters" in tags(cell) or only_prepares(cell["source"]))
        )
    ]


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
        The notebook has not exactly one cell tagged ``parameters``.
    """
    page = copy.deepcopy(notebook)
    cells = dashboard_cells(page)
    places = [at for at, cell in enumerate(cells) if "parameters" in tags(cell)]
    if len(places) != 1:
        raise ParameterError(
            "a dashboard notebook has one cell tagged 'parameters'",
            where="notebook",
            found=len(places),
            expected=1,
        )
    cells.insert(places[0] + 1, parameter_cell(address, run_dir))
    page["cells"] = [prelude_cell(), *cells]
    return page
