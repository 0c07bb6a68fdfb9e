"""The indicator library (指标库): definitions in TOML, formulas in Python, the value table they fill."""
