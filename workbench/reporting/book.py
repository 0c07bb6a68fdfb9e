"""Which chapters make a report: books written in TOML."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.core.errors import DefinitionError, ParameterError
from workbench.core.paths import PACKAGE, home
from workbench.core.quarters import QUARTERS, default_quarter

LANGUAGES = ("zh", "en")
"""Languages a report can be written in."""


@dataclass(frozen=True)
class Chapter:
    """One notebook of a book."""

    id: str
    """Short name, used in file names: ``[a-z0-9_]+``."""
    notebook: str
    """Path of the notebook below ``notebooks/``."""
    title_zh: str
    """Heading of the chapter in Chinese."""
    title_en: str
    """Heading of the chapter in English."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Values for the notebook's parameters cell, besides city, year, lang and run_dir."""
    timeout_s: float = 600.0
    """Longest wall time of the whole chapter, in seconds."""
    cell_timeout_s: int = 300
    """Longest wall time of one cell, in seconds."""
    memory_gib: float = 4.0
    """Most resident memory of the chapter's processes together, in GiB."""
    appendix: bool = False
    """Numbered with letters, after the chapters."""
    topic: str = ""
    """Topic (``evaluation.topics``) whose rows the chapter shows; a city without its layers gets the reason instead."""

    def title(self, lang: str) -> str:
        """Heading in the language ``lang``."""
        return self.title_en if lang == "en" else self.title_zh


@dataclass(frozen=True)
class Book:
    """A report: its title and chapters."""

    id: str
    """Name of the book, that of its file."""
    title_zh: str
    """Title on the cover, Chinese."""
    title_en: str
    """Title on the cover, English."""
    chapters: tuple[Chapter, ...]
    """In reading order."""
    path: Path
    """The TOML file."""
    notice_zh: str = ""
    """A sentence on the cover, e.g. what has not been checked yet; Chinese."""
    notice_en: str = ""
    """The same in English."""
    quarterly: bool = False
    """Whether a report is of a quarter of the year, which its cover then names."""
    years: int = 1
    """Years a report looks back on: five of a five-year assessment, whose cover then names the period."""
    values_timeout_s: float = 3600.0
    """Longest wall time for computing the values, in seconds."""
    values_memory_gib: float = 16.0
    """Most resident memory for computing the values, in GiB."""

    def title(self, lang: str) -> str:
        """Title in the language ``lang``."""
        return self.title_en if lang == "en" else self.title_zh

    def notice(self, lang: str) -> str:
        """Cover sentence in the language ``lang``."""
        return self.notice_en if lang == "en" else self.notice_zh


def folder_of(name: str) -> Path:
    """Folder ``name`` of the workbench's home, or of the checkout where home has none."""
    for root in (home(), PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    return home() / name


def books() -> dict[str, Path]:
    """Every book that can be named, with its file."""
    return {path.stem: path for path in sorted(folder_of("reports/books").glob("*.toml"))}


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return "did you mean …" for a misspelt word, else the list of known words.

    Examples
    --------
    >>> suggestion("yaer", ["city", "year"])
    "did you mean 'year'?"
    >>> suggestion("colour", ["city", "year"])
    'known: city, year'
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else "known: " + (", ".join(names) or "none")


def load_book(name: str) -> Book:
    """Read a book by name (``reports/books/<name>.toml``) or by the path of a TOML file.

    Raises
    ------
    ParameterError
        No book has this name.
    DefinitionError
        The file lacks a key, has an unknown one, or names a notebook that is not there.
    """
    path = Path(name) if name.endswith(".toml") else books().get(name)
    if path is None or not path.is_file():
        raise ParameterError(f"no report book '{name}'", hint=suggestion(name, books()))
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"not valid TOML: {error}", where=str(path)) from error
    rows = raw.pop("chapters", [])
    if not rows:
        raise DefinitionError(
            "a book needs at least one chapter", where=str(path), expected="[[chapters]] tables"
        )
    chapters = tuple(_chapter(row, f"{path}: chapter {i}") for i, row in enumerate(rows, 1))
    twice = sorted({c.id for c in chapters if [d.id for d in chapters].count(c.id) > 1})
    if twice:
        raise DefinitionError("chapter ids must be unique", where=str(path), found=twice)
    values = _checked(raw, Book, f"{path}", given={"id", "chapters", "path"})
    return Book(id=path.stem, chapters=chapters, path=path, **values)


def quarter_of(book: Book, year: int, quarter: int | None) -> int:
    """Quarter a report is of; 0 for a book of the whole year.

    Raises
    ------
    ParameterError
        There is no such quarter, or the book is of a whole year.
    """
    if quarter is None:
        return default_quarter(year) if book.quarterly else 0
    if not book.quarterly:
        raise ParameterError(
            f"the book '{book.id}' is of a whole year, not of a quarter", where="--quarter", found=quarter,
            hint="quarterly_monitoring is of a quarter",
        )  # fmt: skip
    if quarter not in QUARTERS:
        raise ParameterError("no such quarter", where="--quarter", found=quarter, expected="1 to 4")
    return quarter


def notebook_path(chapter: Chapter, book: Book | None = None) -> Path:
    """File of a chapter's notebook: below ``notebooks/``, or beside the book for a book outside the home.

    Raises
    ------
    DefinitionError
        The notebook is not there.
    """
    root = folder_of("notebooks")
    places = [root / chapter.notebook]
    if book is not None:
        places.append(book.path.parent / chapter.notebook)
    for place in places:
        if place.is_file():
            return place.resolve()
    known = [p.relative_to(root).as_posix() for p in root.rglob("*.ipynb")]
    raise DefinitionError(
        f"chapter '{chapter.id}' names a notebook that is not there",
        found=chapter.notebook,
        hint=suggestion(chapter.notebook, known),
    )


def _chapter(row: dict[str, Any], where: str) -> Chapter:
    values = _checked(row, Chapter, where)
    if not re.fullmatch(r"[a-z0-9_]+", values["id"]):
        raise DefinitionError(
            "a chapter id is a file name", where=where, found=values["id"], expected="[a-z0-9_]+"
        )
    if topic := values.get("topic"):
        from workbench.evaluation.topics import TOPICS  # only books with topics pay for the import

        if topic not in TOPICS:
            raise DefinitionError(
                "no such topic", where=where, found=topic, hint=suggestion(str(topic), TOPICS)
            )
    if not isinstance(values.get("parameters", {}), dict):
        raise DefinitionError("parameters is a table", where=where, found=values["parameters"])
    return Chapter(**values)


def _checked(
    row: dict[str, Any], kind: type, where: str, *, given: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """Return ``row`` after checking its keys against the dataclass ``kind``."""
    names = {f.name for f in fields(kind)} - given
    needed = {"id", "notebook", "title_zh", "title_en"} & names
    for key in row:
        if key not in names:
            raise DefinitionError(f"unknown key '{key}'", where=where, hint=suggestion(key, names))
    if missing := sorted(needed - set(row)):
        raise DefinitionError("keys are missing", where=where, expected=", ".join(missing))
    return row
