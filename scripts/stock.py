"""Stock: a sample, load, export, show."""

import sys

from cli.stock_verbs import commands

sys.exit(commands().main())
