"""From a book of notebooks to a report: plan, execute, assemble, export.

``book`` reads which chapters make a report, ``parameters`` checks what a notebook is given, ``jobs`` runs
child processes with limits, ``chapter`` and ``values`` are those children, ``run`` is the whole, ``assemble``
writes the page and ``export`` the tables and map packages beside it.
"""
