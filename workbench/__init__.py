"""Analytical workbench for monitoring how territorial spatial plans are carried out.

Contents, from the bottom up: ``core`` (cities, codes, errors), ``catalog`` (data), ``samples``
(the demo city), ``operators``, ``indicators``, ``rules``, ``evaluation``, ``views``,
``reporting``, ``dashboard``, ``cli``.
"""

import sys

# jsonschema, which STAC and notebooks are checked with, would build a grammar of IRIs for a second in every process: it goes
# without that check where the package is not there
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

__version__ = "0.1.0"
