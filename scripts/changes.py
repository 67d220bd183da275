"""Changes: schedule, cancel, list, retry."""

import sys

from cli.change_verbs import commands

sys.exit(commands().main())
