"""Deploy the stack, build the package, delete the stack."""

import sys

from cli import start

sys.exit(start("deploying"))
