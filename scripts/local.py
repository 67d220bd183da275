"""The embedded engine: start, stop, status."""

import sys

from cli.engine_verbs import main

sys.exit(main())
