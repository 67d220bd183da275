"""Jobs: run one and watch it, list them, show one, stop one; pause the schedules and resume them."""

import sys

from cli.job_verbs import commands

sys.exit(commands().main())
