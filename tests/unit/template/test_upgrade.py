"""An upgrade replaces nothing that AWS would have to replace: the embedded engine replaces in other cases."""

from typing import Any, Final

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.cloudformation import load_template, parameter_values, resolve


def key(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


# The properties of the first stacks that cannot be changed without replacing the resource.
IDENTITIES: Final[dict[str, dict[str, Any]]] = {
    "InventoryTable": {"TableName": "inventory-dev", "KeySchema": key("sku", "location_id")},
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
    "UndeliveredQueue": {"QueueName": "inventory-updater-undelivered-dev"},
    "SchedulerRole": {"RoleName": "inventory-updater-scheduler-dev-eu-west-1"},
    "AlertTopic": {"TopicName": "inventory-updater-alerts-dev"},
}
FIRST_PARAMETERS: Final = """
    AllScheduleExpression AllScheduleState AllWaitMinutes AllowNegativeStock BatchSize ChangeRetentionDays CodeBucket
    CodeKey CostCenter DeletionProtection DueScheduleExpression DueScheduleState Environment EnvironmentSuffix
    FunctionMemoryMegabytes FunctionRuntime FunctionTimeoutSeconds JobRetentionDays JobTimeoutSeconds LogLevel
    LogRetentionDays ManagedBy MaxWriteRate Owner PageSize Project ScheduleTimeZone Segments WriteConcurrency
"""
FIRST_OUTPUTS: Final = """
    DeadLetterQueueUrl Environment FunctionLogGroupName FunctionName InventoryTableName JobsTableName ScheduleGroupName
    StateMachineArn
"""


def identity(name: str) -> dict[str, Any]:
    """The properties of a resource whose change would replace it, always or in some cases."""
    resource = load_template()["Resources"][name]
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
    paths = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
    replacing = {path.removeprefix("/properties/").partition("/")[0] for path in paths}
    properties = resolve(resource["Properties"], parameter_values(CustomerKey="none"))
    return {name: value for name, value in properties.items() if name in replacing}


def test_an_upgrade_replaces_nothing_but_the_dashboard() -> None:
    assert {name: identity(name) for name in IDENTITIES} == IDENTITIES


def test_the_parameters_and_outputs_of_the_first_stacks_are_still_there() -> None:
    assert set(FIRST_PARAMETERS.split()) - set(load_template()["Parameters"]) == set()
    assert set(FIRST_OUTPUTS.split()) - set(load_template()["Outputs"]) == set()
