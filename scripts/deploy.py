"""Deploy the stack, build the package, delete the stack."""

import sys

from cli.deploying import main

sys.exit(main())
