"""The catalogue: ``build`` brings files in, ``search`` and ``load`` find and open items, ``data`` serves layers."""
