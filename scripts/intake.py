"""Intake: put a file into the bucket, look at receipts, approve what is held, handle dead letters."""

import sys

from cli import start

sys.exit(start("intake_verbs"))
