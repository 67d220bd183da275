"""Changes: schedule, list, show, cancel, retry, dismiss."""

import sys

from cli import start

sys.exit(start("change_verbs"))
