"""Formulas: typed functions of layers and zones. What they mean is said by the definitions that name them."""
