"""An upgrade replaces nothing that AWS would have to replace: the embedded engine replaces in other cases."""

from typing import Any, Final

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.cloudformation import load_template, parameter_values, resolve


def key(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


# The properties that cannot be changed without replacing the resource.
IDENTITIES: Final[dict[str, dict[str, Any]]] = {
    "InventoryTable": {"TableName": "inventory-dev", "KeySchema": key("sku", "location_id")},
    "ChangesTable": {"TableName": "inventory-changes-dev", "KeySchema": key("item", "change_id")},
    "JobsTable": {"TableName": "inventory-jobs-dev", "KeySchema": key("job_id", "record")},
    "Function": {"FunctionName": "inventory-updater-dev"},
    "FunctionLogGroup": {"LogGroupName": "/aws/lambda/inventory-updater-dev"},
    "FunctionRole": {"RoleName": "inventory-updater-function-dev-eu-west-1"},
    "StateMachine": {"StateMachineName": "inventory-updater-dev", "StateMachineType": "STANDARD"},
    "StateMachineLogGroup": {"LogGroupName": "/aws/vendedlogs/states/inventory-updater-dev"},
    "StateMachineRole": {"RoleName": "inventory-updater-job-dev-eu-west-1"},
    "ScheduleGroup": {"Name": "inventory-updater-dev"},
    "DueSchedule": {"Name": "inventory-updater-due-dev"},
    "AllSchedule": {"Name": "inventory-updater-all-dev"},
    "WatchSchedule": {"Name": "inventory-updater-watch-dev"},
    "UndeliveredQueue": {"QueueName": "inventory-updater-undelivered-dev"},
    "SchedulerRole": {"RoleName": "inventory-updater-scheduler-dev-eu-west-1"},
    "IntakeBucket": {"BucketName": "inventory-intake-dev-123456789012-eu-west-1"},
    "IntakeQueue": {"QueueName": "inventory-updater-intake-dev"},
    "IntakeDeadLetterQueue": {"QueueName": "inventory-updater-intake-dead-dev"},
    "IntakeFunction": {"FunctionName": "inventory-updater-intake-dev"},
    "IntakeMapping": {"EventSourceArn": "IntakeQueue.Arn"},
    "IntakeFunctionLogGroup": {"LogGroupName": "/aws/lambda/inventory-updater-intake-dev"},
    "IntakeRole": {"RoleName": "inventory-updater-intake-dev-eu-west-1"},
    "AlertTopic": {"TopicName": "inventory-updater-alerts-dev"},
    "ResultsTopic": {"TopicName": "inventory-updater-results-dev"},
    "Dashboard": {"DashboardName": "inventory-updater-dev-eu-west-1"},
}


def identity(name: str) -> dict[str, Any]:
    """The properties of a resource whose change would replace it, always or in some cases."""
    resource = load_template()["Resources"][name]
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
    paths = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
    replacing = {path.removeprefix("/properties/").partition("/")[0] for path in paths}
    properties = resolve(resource["Properties"], parameter_values(CustomerKey="none"))
    return {name: value for name, value in properties.items() if name in replacing}


def test_an_upgrade_replaces_nothing_that_has_a_name_of_its_own() -> None:
    assert {name: identity(name) for name in IDENTITIES} == IDENTITIES
