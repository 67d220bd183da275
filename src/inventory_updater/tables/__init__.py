"""Where things are: the only places that know the tables."""
