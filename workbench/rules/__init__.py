"""规则库: rules as data, the kinds that judge them, and the case builder for conflicts with planning lines."""
