"""Analytical workbench for monitoring how territorial spatial plans are carried out.

Contents, from the bottom up: ``core`` (cities, codes, errors), ``catalog`` (data), ``samples``
(the demo city), ``operators``, ``indicators``, ``rules``, ``evaluation``, ``views``,
``reporting``, ``dashboard``, ``cli``.
"""

__version__ = "0.1.0"
