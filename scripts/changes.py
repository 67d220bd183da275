"""Changes: schedule, cancel, list, retry."""

import sys

from cli import start

sys.exit(start("change_verbs"))
