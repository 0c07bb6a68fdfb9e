"""The libraries as tables to browse: operators, indicators, rules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping

import pandas as pd

from workbench.core.dimensions import dimension_words
from workbench.core.errors import ParameterError
from workbench.core.units import display
from workbench.indicators.bases import STATES as STATES
from workbench.indicators.bases import count_by_basis as count_by_basis
from workbench.indicators.indicator import BASES, DIMENSIONS, Indicator
from workbench.indicators.library import load_library, read_set, set_names
from workbench.rules.library import load_rules


def operators_table() -> pd.DataFrame:
    """Public operators: ``operator, module, signature, summary``.

    Returns
    -------
    pd.DataFrame
        One row a function that ``workbench.operators`` offers, ordered by module and name.
    """
    import workbench.operators

    rows = []
    for found in pkgutil.iter_modules(workbench.operators.__path__):
        if found.name.startswith("_"):
            continue
        module = importlib.import_module(f"workbench.operators.{found.name}")
        for name, value in sorted(vars(module).items()):
            own = inspect.isfunction(value) and value.__module__ == module.__name__
            if own and not name.startswith("_"):
                summary = (inspect.getdoc(value) or "").partition("\n")[0]
                rows.append((name, found.name, str(inspect.signature(value)), summary))
    return pd.DataFrame(rows, columns=["operator", "module", "signature", "summary"])


def indicators_table(
    lang: str = "zh",
    *,
    dimension: str | None = None,
    basis: str | None = None,
    holder: str | None = None,
    confidence: str | None = None,
    library: Mapping[str, Indicator] | None = None,
) -> pd.DataFrame:
    """Indicators: id, title, dimension, unit, scope, definition, methods with tiers, bases and inputs, source, confidence.

    What is measured stands there in both languages, whatever the language of the rest.

    Parameters
    ----------
    lang : {"zh", "en"}
        Language of titles, units and denominators.
    dimension : str, optional
        Only this dimension, by its Chinese or English name.
    basis : {"layers", "tables", "reported"}, optional
        Only indicators with a method of this basis.
    holder, confidence : str, optional
        Only indicators whose holder (in either language), or statement of confidence, contains this text.
    library : mapping, optional
        Definitions; the package's own when not given.

    Raises
    ------
    ParameterError
        No such dimension or basis.
    """
    if basis is not None and basis not in BASES:
        raise ParameterError("no such basis", where="basis", found=basis, expected=", ".join(BASES))
    wanted = None if dimension is None else _dimension(dimension)
    rows = [
        {
            "id": one.id,
            "title": one.title(lang),
            "dimension": one.dimension,
            "second_level": one.second_level,
            "unit": display(one.unit, lang),
            "kind": one.kind,
            "scope": one.scope,
            "definition_zh": one.definition_zh,
            "definition": one.definition,
            "calculation": one.calculation,
            "direction": one.direction,
            "denominator": one.denominator_en if lang == "en" else one.denominator_zh,
            "methods": "; ".join(f"{m.tier}: {m.formula}" for m in one.methods),
            "basis": ", ".join(dict.fromkeys(m.basis for m in one.methods)),
            "inputs": ", ".join(dict.fromkeys(role for m in one.methods for role in m.inputs)),
            "holder": one.holder_en if lang == "en" else one.holder,
            "unlocks": one.unlocks_en if lang == "en" else one.unlocks,
            "source": one.source,
            "confidence": one.confidence,
            "definition_version": one.definition_version,
        }
        for one in (load_library() if library is None else library).values()
        if (wanted is None or one.dimension == wanted)
        and (basis is None or any(m.basis == basis for m in one.methods))
        and (holder is None or holder.lower() in f"{one.holder}\n{one.holder_en}".lower())
        and (confidence is None or confidence.lower() in one.confidence.lower())
    ]
    return pd.DataFrame(rows, columns=_INDICATOR_COLUMNS)


_INDICATOR_COLUMNS = [
    "id",
    "title",
    "dimension",
    "second_level",
    "unit",
    "kind",
    "scope",
    "definition_zh",
    "definition",
    "calculation",
    "direction",
    "denominator",
]
_INDICATOR_COLUMNS += ["methods", "basis", "inputs", "holder", "unlocks", "source", "confidence"]
_INDICATOR_COLUMNS += ["definition_version"]


_SURE = ("found", "inferred", "from-memory")


def sureness(confidence: str) -> str:
    """How sure the name and the definition of an indicator are, from its statement of confidence.

    Examples
    --------
    >>> sureness("name+second_level:found[R1]; kind:inferred[R1]; unit/scope/definition/formula:from-memory")
    'name found, definition from-memory'
    >>> sureness("from-memory")
    'from-memory'
    """
    said: dict[str, str] = {}
    for part in confidence.split(";"):
        names, _, state = part.strip().rpartition(":")
        word = next((word for word in _SURE if state.strip().startswith(word)), None)
        if word is not None:
            said |= dict.fromkeys(names.replace("+", "/").split("/"), word)
    parts = [f"{name} {said[name]}" for name in ("name", "definition") if name in said]
    return ", ".join(parts) or confidence


def _dimension(name: str) -> str:
    """Dimension by its Chinese or English name, whatever its case."""
    known = {
        word.lower(): key
        for key in DIMENSIONS
        for word in (key, *(dimension_words(key, x) for x in ("zh", "en")))
    }
    if name.lower() not in known:
        raise ParameterError(
            "no such dimension", where="dimension", found=name, expected=", ".join(DIMENSIONS)
        )
    return known[name.lower()]


def sets_table(lang: str = "zh") -> pd.DataFrame:
    """Sets of indicators: name, title, number of indicators, the sets each is made from, and how many of each basis."""
    library = load_library()
    rows = []
    for name in set_names():
        found = read_set(name)
        first = [library[id_].methods[0].basis for id_ in found.ids]
        rows.append(
            {
                "set": name,
                "title": found.title_en if lang == "en" else found.title_zh,
                "indicators": len(found.ids),
                "extends": ", ".join(found.extends),
                **{basis: first.count(basis) for basis in BASES},
            }
        )
    return pd.DataFrame(rows)


def set_table(name: str, lang: str = "zh") -> pd.DataFrame:
    """Indicators of one set, in its order; columns as :func:`indicators_table`."""
    table = indicators_table(lang).set_index("id", drop=False)
    return table.loc[list(read_set(name).ids)].reset_index(drop=True)


def sets_diff(name: str, other: str, lang: str = "zh") -> pd.DataFrame:
    """What another set has that this one has not, and the other way round: ``change, id, title, dimension``.

    ``change`` is ``added`` where only ``other`` has the indicator, ``dropped`` where only ``name`` has it.

    Examples
    --------
    >>> sets_diff("checkup122", "coastal", "en")[["change", "id"]].values.tolist()
    [['added', 'TJ-X01'], ['added', 'TJ-X02']]
    """
    library, before, after = load_library(), read_set(name).ids, read_set(other).ids
    rows = [("dropped", id_) for id_ in before if id_ not in after]
    rows += [("added", id_) for id_ in after if id_ not in before]
    found = [(change, id_, library[id_].title(lang), library[id_].dimension) for change, id_ in rows]
    return pd.DataFrame(found, columns=["change", "id", "title", "dimension"])


def rules_table(lang: str = "zh") -> pd.DataFrame:
    """Rules: id, title, kind, levels, verifiability, clause, source and confidence."""
    rows = [
        {
            "id": id_,
            "title": rule.title_en if lang == "en" else rule.title_zh,
            "kind": rule.kind,
            "levels": ", ".join(f"{name} {level}" for name, level in rule.levels.items()),
            "verifiability": rule.verifiability,
            "clause": rule.clause,
            "source": rule.source,
            "confidence": rule.confidence,
        }
        for id_, rule in load_rules().items()
    ]
    return pd.DataFrame(rows)
