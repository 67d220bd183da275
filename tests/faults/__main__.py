"""``make faults``: play the campaign, print its table, write build/faults.json and build/faults-history.jsonl."""

import argparse
import logging
import sys

from tests.faults.breakages import BREAKAGES
from tests.faults.campaign import BUILD, ENGINES, engines, run_campaign, without_aws, write_report


def main() -> int:
    """Exit status 1 where anything was lost, doubled or wrong, or where a long campaign has not seen what it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to begin new rounds (10)")
    parser.add_argument("--seed", default="", help="repeats a campaign; a new one without it")
    parser.add_argument("--break", dest="breakage", choices=BREAKAGES, help="break the product, to see it caught")
    parser.add_argument("--engine", choices=ENGINES, help="only this engine; both without it")
    parser.add_argument("--round", type=int, help="only this round of the campaign")
    parser.add_argument("--verbose", action="store_true", help="show the product's own log")
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.INFO if wanted.verbose else logging.CRITICAL)
    without_aws()
    BUILD.mkdir(parents=True, exist_ok=True)
    with engines([wanted.engine] if wanted.engine else ENGINES) as running:
        if not running:
            parser.error(f"{wanted.engine} cannot run here")
        campaign = run_campaign(
            running,
            seconds=wanted.minutes * 60,
            seed=wanted.seed,
            breakage=wanted.breakage,
            history=BUILD / "faults-history.jsonl",
            first_round=wanted.round or 0,
            last_round=wanted.round,
        )
    write_report(campaign)
    sys.stdout.write(campaign.table() + "\n")
    return 0 if campaign.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
