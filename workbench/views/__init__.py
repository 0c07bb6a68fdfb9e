"""Everything a reader sees: text, numbers, tables, charts and maps, in Chinese or English."""
