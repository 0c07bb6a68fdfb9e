"""Pure spatial operators: data in, data out; nothing here reads files, draws or knows a city."""
