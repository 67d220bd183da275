"""Intake: put a file into the bucket, look at receipts, decide on what is held, handle dead letters."""

import sys

from cli import start

sys.exit(start("intake_verbs"))
