"""The command line: what the scripts beside this package are made of."""

import sys
from importlib import import_module

from cli.exit_codes import EXIT_BAD_INPUT, EXIT_INTERRUPTED


def start(module: str) -> int:
    """Run the script whose `commands` are in a module of this package; returns its exit code.

    The module is imported only here: what it needs is missing where the environment was not set up.
    """
    try:
        commands = import_module(f"cli.{module}").commands()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ImportError as error:
        if (error.name or "cli").startswith(("cli", "inventory_updater.")):
            raise  # a mistake of ours
        print(f"error: this Python cannot run the scripts ({error.msg}): run `make setup`, then", file=sys.stderr)
        print(f"  .venv/bin/python scripts/{sys.argv[0].rpartition('/')[2]} --help", file=sys.stderr)
        return EXIT_BAD_INPUT
    code: int = commands.main()
    return code
