"""Stock: a sample, load, export, show."""

import sys

from cli import start

sys.exit(start("stock_verbs"))
