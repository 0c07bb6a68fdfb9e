"""体检评估: the checkup of a city and year, comparison with other years, and the sentences of its conclusion."""
