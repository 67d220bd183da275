"""Watching for silence: how long ago a job of each scope finished, published whether jobs run or not.

CloudWatch looks back a week at most, and a schedule may fire once a month: so the silence itself is the metric. A
schedule of its own has it published; where even that stops, data is missing, which is an alarm too.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from datetime import timedelta

from inventory_updater.jobs.services import Services
from inventory_updater.stock.times import format_time, read_time
from inventory_updater.tables.inventory_table import SCOPES


def watch(services: Services) -> dict[str, timedelta]:
    """Publish how long each scope has been silent, and return it.

    A scope of which no job ever finished is silent since the first watch.

    Raises:
        botocore.exceptions.ClientError: where the silence could not be read or published.
    """
    now = services.clock()
    silence = {scope: now - read_time(services.jobs.last_finish(scope, format_time(now))) for scope in SCOPES}
    services.reports.publish_silence(silence, now)
    return silence
