"""The files of a report beside its page: Word, PDF, workbook and GeoPackage, in the edition asked for.

Each is written for itself: one that fails is recorded with its reason, the others stand. The public edition lies
in a folder of its own, so that nothing internal lies beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import ParameterError, WorkbenchError
from workbench.core.paths import atomic_write
from workbench.reporting import edition as editions
from workbench.reporting.book import suggestion
from workbench.reporting.document import read_run
from workbench.reporting.tree import Document

if TYPE_CHECKING:
    from workbench.evaluation.checkup import Checkup

FORMATS = ("html", "docx", "pdf")
"""Forms of the report itself."""
FAILURES = (
    WorkbenchError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
)
"""What may go wrong in one file without taking the others along."""


def parse_formats(text: str) -> tuple[str, ...]:
    """Formats of a list such as ``html,docx``; the page is always among them, the others are made from it.

    Raises
    ------
    ParameterError
        An unknown format, with the nearest known one.

    Examples
    --------
    >>> parse_formats("pdf, html")
    ('html', 'pdf')
    """
    wanted = {part.strip().lower() for part in text.split(",") if part.strip()} | {"html"}
    for name in sorted(wanted - set(FORMATS)):
        raise ParameterError(f"no format '{name}'", hint=suggestion(name, FORMATS))
    return tuple(name for name in FORMATS if name in wanted)


def write_formats(
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    edition: str = "internal",
    review_number: str = "",
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Write the files of a finished run in one edition.

    Parameters
    ----------
    folder : Path
        Folder of the run with ``report.html`` and the saved checkup.
    formats : sequence of str
        Of :data:`FORMATS`; workbook and GeoPackage are written wherever the folder holds a checkup.
    edition : {"internal", "public"}
        The public one goes to ``public/`` below the folder.
    review_number : str
        Review number (审图号) of the city's maps.
    say : callable, optional
        Told which file is being written.

    Returns
    -------
    dict
        ``edition``, ``folder`` (relative), ``refused`` (what the public edition leaves out), and ``files``: name to
        ``status`` (ok, failed or none), ``seconds``, ``error``.
    """
    name = editions.check_edition(edition)
    public = name == "public"
    target = folder / "public" if public else folder
    target.mkdir(exist_ok=True)
    record: dict[str, Any] = {
        "edition": name,
        "folder": "public" if public else ".",
        "refused": [],
        "files": {},
    }
    state: dict[str, Any] = {}

    def document() -> Document:
        if "document" not in state:
            state["document"] = _edition(folder, record, review_number, public=public)
        made: Document = state["document"]
        return made

    def checkup() -> Checkup:
        if "checkup" not in state:
            from workbench.evaluation.checkup import Checkup
            from workbench.reporting.annex import public_checkup

            whole = Checkup.read(folder)
            state["checkup"] = public_checkup(whole) if public else whole
        found: Checkup = state["checkup"]
        return found

    steps: dict[str, Callable[[], Path | None]] = {}
    if public:
        steps["values.parquet"] = lambda: _values(folder, target)
        steps["tables/values.xlsx"] = lambda: _values_workbook(target, document().lang)
        steps["report.html"] = lambda: _page(document(), target / "report.html")
    if "docx" in formats:
        steps["report.docx"] = lambda: _word(document(), target / "report.docx")
    if "pdf" in formats:
        steps["report.pdf"] = lambda: _pdf(document(), target / "report.pdf")
    if (folder / "checkup.json").is_file():
        steps["tables/annex.xlsx"] = lambda: _workbook(
            checkup(), document(), target / "tables" / "annex.xlsx"
        )
        steps["maps/annex.gpkg"] = lambda: _package(
            checkup(), document(), target / "maps" / "annex.gpkg", districts=bool(review_number) or not public
        )
    for file, make in steps.items():
        if say is not None:
            say(f"writing {file}")
        record["files"][file] = _attempt(make)
    return record


def failed(record: dict[str, Any]) -> list[str]:
    """Files of a record that could not be written."""
    return [name for name, found in record["files"].items() if found["status"] == "failed"]


def _attempt(make: Callable[[], Path | None]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        path = make()
    except FAILURES as error:
        reason = {"name": type(error).__name__, "message": str(error)[:600]}
        return {"status": "failed", "seconds": round(time.monotonic() - started, 2), "error": reason}
    status = "ok" if path is not None else "none"
    return {"status": status, "seconds": round(time.monotonic() - started, 2), "error": None}


def _edition(folder: Path, record: dict[str, Any], review_number: str, *, public: bool) -> Document:
    import pandas as pd

    whole = read_run(folder)
    if not public:
        return editions.internal(whole, review_number)
    values = pd.read_parquet(folder / "values.parquet")
    made, refused = editions.public(whole, values, review_number)
    record["refused"] = [{"kind": item.kind, "where": item.where, "count": item.count} for item in refused]
    return made


def _values(folder: Path, target: Path) -> Path:
    import pandas as pd

    shown = editions.public_values(pd.read_parquet(folder / "values.parquet"))
    path = target / "values.parquet"
    with atomic_write(path) as temporary:
        shown.to_parquet(temporary)
    return path


def _values_workbook(target: Path, lang: str) -> Path:
    import pandas as pd

    from workbench.reporting.export import write_workbook

    path = target / "tables" / "values.xlsx"
    write_workbook(path, {"values": pd.read_parquet(target / "values.parquet")}, lang)
    return path


def _page(document: Document, path: Path) -> Path:
    from workbench.reporting.page import write_document

    return write_document(document, path)


def _word(document: Document, path: Path) -> Path:
    from workbench.reporting.word import write_word

    return write_word(document, path)


def _pdf(document: Document, path: Path) -> Path:
    from workbench.reporting.pdf import write_pdf

    return write_pdf(document, path)


def _workbook(checkup: Checkup, document: Document, path: Path) -> Path:
    from workbench.reporting.annex import sheets, write_workbook

    title = " ".join(filter(None, (document.city, document.title, document.mark)))
    return write_workbook(path, sheets(checkup, document.lang), document.lang, title)


def _package(checkup: Checkup, document: Document, path: Path, *, districts: bool) -> Path | None:
    from workbench.reporting.annex import write_geopackage

    return write_geopackage(path, checkup, document.lang, with_districts=districts)
