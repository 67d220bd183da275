"""Start, stop and look at the embedded engine of this checkout."""

import argparse
import sys

from cli.command_line import EXIT_BAD_INPUT, EXIT_DONE
from cli.engine import EngineFailed, EngineNotRunning, running_engine, start_engine, stop_engine


def start() -> int:
    """Start the engine unless it runs."""
    try:
        engine = running_engine()
        print(f"the embedded engine is running already: {engine.endpoint_url}")
    except EngineNotRunning:
        engine = start_engine()
        print(f"the embedded engine is running: {engine.endpoint_url}")
    return EXIT_DONE


def stop() -> int:
    """Stop the engine; that none runs is fine."""
    print("the embedded engine is stopped" if stop_engine() else "the embedded engine was not running")
    return EXIT_DONE


def status() -> int:
    """Say where the engine answers; status 2 when none runs."""
    engine = running_engine()
    print(f"the embedded engine is running: {engine.endpoint_url} (process {engine.pid}, region {engine.region})")
    return EXIT_DONE


VERBS = {"start": start, "stop": stop, "status": status}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 done, 2 not running or not to be started."""
    parser = argparse.ArgumentParser(
        description="The embedded engine: AWS's services on this machine, for this checkout, on 127.0.0.1 only.",
        epilog="Its port is remembered in .local/engine.json, its log is .local/engine.log. Stopped, it forgets all. "
        "Exit codes: 0 done; 2 not running, or not to be started.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("start", help="start it on a free port, unless it is running")
    verbs.add_parser("stop", help="stop it, and with it forget everything it holds")
    verbs.add_parser("status", help="say whether it is running, and where")
    verb = parser.parse_args(arguments).verb
    try:
        return VERBS[verb]()
    except (EngineNotRunning, EngineFailed) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return EXIT_BAD_INPUT
