"""The command line: what the scripts beside this package are made of."""
