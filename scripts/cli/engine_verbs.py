"""Start, stop and look at the embedded engine of this checkout."""

import argparse

from cli.command_line import CommandLine
from cli.engine import EngineNotRunning, running_engine, start_engine, stop_engine


def start(_options: argparse.Namespace) -> None:
    """Start the engine unless it runs."""
    try:
        engine = running_engine()
        print(f"the embedded engine is running already: {engine.endpoint_url}")
    except EngineNotRunning:
        engine = start_engine()
        print(f"the embedded engine is running: {engine.endpoint_url}")


def stop(_options: argparse.Namespace) -> None:
    """Stop the engine; that none runs is fine."""
    print("the embedded engine is stopped" if stop_engine() else "the embedded engine was not running")


def status(_options: argparse.Namespace) -> None:
    """Say where the engine answers; status 2 when none runs."""
    engine = running_engine()
    print(f"the embedded engine is running: {engine.endpoint_url} (process {engine.pid}, region {engine.region})")


def commands() -> CommandLine:
    line = CommandLine(
        "The embedded engine: AWS's services on this machine, for this checkout, on 127.0.0.1 only.",
        has_stack=False,
        epilog="Its port is remembered in .local/engine.json, its log is .local/engine.log. Stopped, it forgets all.",
    )
    line.add_verb("start", start, "start it on a free port, unless it is running")
    line.add_verb("stop", stop, "stop it, and with it forget everything it holds")
    line.add_verb("status", status, "say whether it is running, and where")
    return line
