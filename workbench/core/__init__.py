"""Words and values every other part uses: cities, codes, units, errors, places."""
