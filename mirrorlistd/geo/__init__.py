"""Client address -> country, continent and AS, from databases or built-in registry data."""
