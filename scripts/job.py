"""Jobs: run one and watch it, list them, show one, stop one; pause the schedules and resume them."""

import sys

from cli import start

sys.exit(start("job_verbs"))
