"""The embedded engine: start, stop, status."""

import sys

from cli import start

sys.exit(start("engine_verbs"))
