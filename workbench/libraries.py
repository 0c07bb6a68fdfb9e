"""The libraries as tables to browse: operators, indicators, rules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pandas as pd

from workbench.core.units import display
from workbench.indicators.library import load_library
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


def indicators_table(lang: str = "zh") -> pd.DataFrame:
    """Indicators: id, title, dimension, unit, scope, methods with their tiers and inputs, source and confidence.

    Parameters
    ----------
    lang : {"zh", "en"}
        Language of titles, units and denominators.
    """
    rows = [
        {
            "id": one.id,
            "title": one.title(lang),
            "dimension": one.dimension,
            "second_level": one.second_level,
            "unit": display(one.unit, lang),
            "kind": one.kind,
            "scope": one.scope,
            "direction": one.direction,
            "denominator": one.denominator_en if lang == "en" else one.denominator_zh,
            "methods": "; ".join(f"{m.tier}: {m.formula}" for m in one.methods),
            "inputs": ", ".join(dict.fromkeys(role for m in one.methods for role in m.inputs)),
            "holder": one.holder_en if lang == "en" else one.holder,
            "source": one.source,
            "confidence": one.confidence,
        }
        for one in load_library().values()
    ]
    return pd.DataFrame(rows)


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
