"""What the template promises and no linter checks; and what the embedded engine passes over in silence."""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from inventory_updater.intake_handler import IntakeSettings
from inventory_updater.jobs import settings
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.results import SOURCE
from inventory_updater.stock.guards import Guards
from tests.builders import USUAL_GUARDS
from tests.cloudformation import (
    PSEUDO_PARAMETERS,
    TEMPLATE,
    as_list,
    extremes,
    granted,
    is_true,
    load_template,
    parameter_values,
    properties,
    resolve,
    resources_of_type,
    statements,
    violated_rules,
)

LONGEST_SUFFIX: Final = "x" * int(load_template()["Parameters"]["EnvironmentSuffix"]["MaxLength"])
# The longest names of regions have 14 characters, ap-southeast-1 for example.
LONGEST_REGION: Final = "ap-southeast-1"

# The property that names a resource, how long AWS lets it be, and where no other may have that name: a new type has to
# choose, whether in the world, in the account or in one region of it.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Dashboards.html
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
NAMES: Final = {
    "AWS::DynamoDB::Table": ("TableName", 255, "region"),
    "AWS::Lambda::Function": ("FunctionName", 64, "region"),
    "AWS::Logs::LogGroup": ("LogGroupName", 512, "region"),
    "AWS::IAM::Role": ("RoleName", 64, "account"),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", 80, "region"),
    "AWS::Scheduler::ScheduleGroup": ("Name", 64, "region"),
    "AWS::Scheduler::Schedule": ("Name", 64, "region"),
    "AWS::SNS::Topic": ("TopicName", 256, "region"),
    "AWS::SQS::Queue": ("QueueName", 80, "region"),
    "AWS::CloudWatch::Alarm": ("AlarmName", 255, "region"),
    "AWS::CloudWatch::Dashboard": ("DashboardName", 255, "account"),
    "AWS::KMS::Alias": ("AliasName", 256, "region"),
    "AWS::S3::Bucket": ("BucketName", 63, "world"),
}
# What AWS gives no name of ours.
NAMELESS: Final = {
    *("AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::KMS::Key"),
    *("AWS::S3::BucketPolicy", "AWS::Lambda::EventSourceMapping"),
}

RESOURCES: Final = load_template()["Resources"]
ROLES: Final = resources_of_type("AWS::IAM::Role")
TABLES: Final = resources_of_type("AWS::DynamoDB::Table")
LOG_GROUPS: Final = resources_of_type("AWS::Logs::LogGroup")
SCHEDULES: Final = resources_of_type("AWS::Scheduler::Schedule")
PARAMETERS: Final = load_template()["Parameters"]
GROUPS: Final = load_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]


def names_of_resources(parameters: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The type and the name of every resource that has one of ours, by logical id."""
    return {
        name: (found["Type"], resolve(found["Properties"][NAMES[found["Type"]][0]], parameters))
        for name, found in RESOURCES.items()
        if found["Type"] not in NAMELESS
    }


def variables(function: str = "Function", **parameters: str) -> Any:
    """The environment of a function."""
    return properties(function, **parameters)["Environment"]["Variables"]


def taken(parameter: str, *given: str) -> list[str]:
    """What the pattern of a parameter lets through."""
    return [each for each in given if re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], each)]


def state_machines() -> list[Any]:
    """The definition, parsed as Step Functions would, and the one inside its Map: each has StartAt and States."""
    outer = json.loads(properties("StateMachine")["DefinitionString"])
    return [outer, outer["States"]["Segments"]["ItemProcessor"]]


def states() -> dict[str, Any]:
    """Every state, inside the Map too, by its name."""
    return {name: state for machine in state_machines() for name, state in machine["States"].items()}


def tasks() -> dict[str, Any]:
    return {name: state for name, state in states().items() if state["Type"] == "Task"}


def next_states(state: Any) -> list[str]:
    holders = (state, *state.get("Choices", []), *state.get("Catch", []))
    return [holder[key] for holder in holders for key in ("Next", "Default") if key in holder]


# Names, tags, outputs, parameters


def test_names_end_with_the_suffix_and_fit_however_long_suffix_and_region_are() -> None:
    names = names_of_resources(parameter_values(EnvironmentSuffix=LONGEST_SUFFIX) | {"AWS::Region": LONGEST_REGION})

    assert [] == [
        (logical_id, name)
        for logical_id, (kind, name) in names.items()
        if not re.search(rf"-{LONGEST_SUFFIX}(-{LONGEST_REGION}|-[0-9]{{12}}-{LONGEST_REGION})?$", name)
        or len(name) > NAMES[kind][1]
    ]


def test_a_name_has_account_and_region_in_it_where_and_only_where_it_belongs_to_the_account_or_the_world() -> None:
    region, account = PSEUDO_PARAMETERS["AWS::Region"], PSEUDO_PARAMETERS["AWS::AccountId"]
    ends = {"region": "-dev", "account": f"-dev-{region}", "world": f"-dev-{account}-{region}"}

    assert [] == [
        (logical_id, name)
        for logical_id, (kind, name) in names_of_resources(parameter_values()).items()
        if not name.endswith(ends[NAMES[kind][2]])
    ]


def test_a_suffix_that_would_meet_a_table_function_or_queue_of_another_stack_is_refused() -> None:
    given = ("dev", "jobsite", "my-jobs-2", "intakes", "jobs-dev", "changes-dev", "intake-dev", "dead-dev")

    assert taken("EnvironmentSuffix", *given) == ["dev", "jobsite", "my-jobs-2", "intakes"]


def test_no_suffix_that_is_taken_gives_a_resource_the_name_of_one_of_another_stack() -> None:
    one = set(names_of_resources(parameter_values(EnvironmentSuffix="dev")).values())
    beginnings = {name.removesuffix("-dev").rpartition("-")[2] for _, name in one if name.endswith("-dev")}
    others = taken("EnvironmentSuffix", *(f"{beginning}-dev" for beginning in beginnings))

    assert beginnings > {"jobs", "changes", "intake", "dead"}
    assert {
        suffix: met
        for suffix in others
        if (met := one & set(names_of_resources(parameter_values(EnvironmentSuffix=suffix)).values()))
    } == {}


def test_no_two_resources_of_a_type_share_a_name() -> None:
    names = list(names_of_resources(parameter_values()).values())

    assert len(set(names)) == len(names)


def test_everything_that_can_be_tagged_has_the_five_tags() -> None:
    tags = [
        {"Key": tag, "Value": {"Ref": tag}} for tag in ("Project", "Environment", "Owner", "CostCenter", "ManagedBy")
    ]
    can_be_tagged = {
        kind: "Tags" in PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["properties"]
        for kind in {found["Type"] for found in RESOURCES.values()}
    }

    assert [] == [
        name
        for name, found in RESOURCES.items()
        if found["Properties"].get("Tags") != (tags if can_be_tagged[found["Type"]] else None)
    ]


def test_every_parameter_is_used_and_shown_in_a_group() -> None:
    used = set(re.findall(r"(?:!Ref |\$\{)(\w+)", TEMPLATE.read_text(encoding="utf-8")))

    assert set(PARAMETERS) - used == set()
    assert sorted(PARAMETERS) == sorted(name for group in GROUPS for name in group["Parameters"])


def test_every_parameter_says_what_it_is_and_takes_and_every_pattern_says_so_in_words() -> None:
    assert [] == [
        name
        for name, parameter in PARAMETERS.items()
        if not parameter["Description"]
        or not {"AllowedValues", "ConstraintDescription"} & set(parameter)
        or ("AllowedPattern" in parameter and "ConstraintDescription" not in parameter)
    ]


def test_the_readme_lists_every_parameter_with_its_default_as_the_template_has_it() -> None:
    readme = (TEMPLATE.parent / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^\| `(\w+)` \| (\S.*?) \| (.+) \|$", readme.partition("### Parameters")[2])
    words = {None: "(required)", "": "(empty)"}

    assert listed == [
        (name, words.get(found.get("Default"), f"`{found.get('Default')}`"), " ".join(found["Description"].split()))
        for name, found in PARAMETERS.items()
    ]


def test_outputs_are_described_and_exported_under_the_name_of_their_stack() -> None:
    assert [] == [
        name
        for name, output in load_template()["Outputs"].items()
        if not output["Description"] or output["Export"] != {"Name": {"Fn::Sub": f"${{AWS::StackName}}-{name}"}}
    ]


def test_the_version_of_the_package_is_an_output() -> None:
    output = load_template()["Outputs"]["Version"]["Value"]

    assert [resolve(output, parameter_values(PackageVersion=given)) for given in ("1.2.3", "")] == ["1.2.3", "unknown"]


def test_the_guards_are_an_output_for_whoever_schedules() -> None:
    output = load_template()["Outputs"]["Guards"]["Value"]
    others = {
        "MaxPriceChangePercent": "20",
        "MaxCountDifferencePercent": "75",
        "MaxItemsOutOfStock": "25",
        "MaxItemsOfOnePrice": "100",
        "MaxDaysAhead": "365",
        "WholeUnits": "true",
    }
    (group,) = (each for each in GROUPS if "WholeUnits" in each["Parameters"])

    assert Guards.read(json.loads(resolve(output, parameter_values()))) == USUAL_GUARDS
    assert json.loads(resolve(output, parameter_values(**others))) == others
    assert group["Parameters"] == list(others)


def test_the_version_of_a_package_is_three_numbers_or_empty() -> None:
    given = ("", "0.2.0", "10.20.30", "1.2", "v1.2.3", "1.2.3.4", "1.2.3-rc1", "unknown")

    assert taken("PackageVersion", *given) == ["", "0.2.0", "10.20.30"]


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_a_parameter_file_sets_only_what_the_template_has_and_allows_and_breaks_no_rule(name: str) -> None:
    file = TEMPLATE.parent / "parameters" / f"{name}.json"
    given: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))["Parameters"]

    assert [] == [
        parameter
        for parameter, value in given.items()
        if value not in map(str, PARAMETERS[parameter].get("AllowedValues", [value]))
        or not re.fullmatch(PARAMETERS[parameter].get("AllowedPattern", ".*"), value)
    ]
    assert given["EnvironmentSuffix"] == given["Environment"] == name
    assert violated_rules(parameter_values(**given)) == []


@pytest.mark.parametrize(
    ("given", "refused_by"),
    [
        ({}, []),
        ({"Environment": "prod"}, ["StagingAndProductionAreProtected"]),
        ({"Environment": "staging"}, ["StagingAndProductionAreProtected"]),
        ({"Environment": "prod", "DeletionProtection": "true"}, []),
        ({"EnvironmentSuffix": "prod"}, ["TheNameProdIsForProduction"]),
        ({"EnvironmentSuffix": "staging"}, ["TheNameStagingIsForStaging"]),
        ({"EnvironmentSuffix": "prod", "Environment": "prod", "DeletionProtection": "true"}, []),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(given: dict[str, str], refused_by: list[str]) -> None:
    assert violated_rules(parameter_values(**given)) == refused_by


def test_every_rule_says_what_to_do() -> None:
    assertions = [assertion for rule in load_template()["Rules"].values() for assertion in rule["Assertions"]]

    assert [] == [assertion for assertion in assertions if not assertion["AssertDescription"].endswith(".")]


# Data


def test_the_tables_are_paid_by_request_backed_up_protected_by_parameter_and_retained_when_replaced() -> None:
    for table in TABLES.values():
        found = table["Properties"]
        assert found["BillingMode"] == "PAY_PER_REQUEST"
        assert found["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert found["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
        assert list(table.items())[1:3] == [("DeletionPolicy", "Delete"), ("UpdateReplacePolicy", "Retain")]


def test_records_of_changes_and_of_jobs_expire_and_stock_does_not() -> None:
    expires = {"AttributeName": "expires_at", "Enabled": True}

    assert {name: found["Properties"].get("TimeToLiveSpecification") for name, found in TABLES.items()} == {
        "InventoryTable": None,
        "ChangesTable": expires,
        "JobsTable": expires,
    }


# Code


def test_the_function_gets_a_variable_for_every_setting_and_no_other() -> None:
    assert {field.name.upper() for field in fields(Settings)} == set(variables())


def test_the_defaults_of_the_template_are_settings_that_the_function_accepts() -> None:
    assert Settings.from_environment(variables()) == Settings(
        environment="dev",
        inventory_table="InventoryTable",
        changes_table="ChangesTable",
        jobs_table="JobsTable",
        alert_topic_arn="AlertTopic",
        results_arn="ResultsTopic",
        guards=USUAL_GUARDS,
        stack_name="inventory-updater-test",
    )


@pytest.mark.parametrize(("limit", "segments"), [("MinValue", 1), ("MaxValue", 40)])
def test_what_the_template_allows_the_function_accepts(limit: str, segments: int) -> None:
    assert Settings.from_environment(variables(**extremes(limit))).segments == segments


def test_the_function_writes_json_into_its_own_log_and_is_traced() -> None:
    function = properties("Function")
    levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}

    assert function["LoggingConfig"] == {"LogGroup": "FunctionLogGroup", "LogFormat": "JSON"} | levels
    assert (function["TracingConfig"], function["Architectures"]) == ({"Mode": "Active"}, ["arm64"])
    assert (function["Runtime"], function["Handler"]) == ("python3.13", "inventory_updater.handler.handle")


def test_the_intake_gets_a_variable_for_every_setting_and_the_same_as_the_function_for_what_both_have() -> None:
    found = variables("IntakeFunction")

    assert {field.name.upper() for field in fields(IntakeSettings)} == set(found)
    assert found.items() >= {name: variables()[name] for name in found.keys() & variables().keys()}.items()
    assert (found["INTAKE_BUCKET"], found["INTAKE_QUEUE_URL"]) == ("IntakeBucket", "IntakeQueue")
    assert settings.read_settings(IntakeSettings, found).guards == USUAL_GUARDS


def test_both_functions_are_of_one_package_and_log_and_are_traced_alike() -> None:
    job, intake = properties("Function"), properties("IntakeFunction")
    alike = ("Runtime", "Architectures", "Code", "MemorySize", "TracingConfig", "Tags")

    assert {name: intake[name] for name in alike} == {name: job[name] for name in alike}
    assert intake["LoggingConfig"] == {**job["LoggingConfig"], "LogGroup": "IntakeFunctionLogGroup"}
    assert (intake["Handler"], intake["EphemeralStorage"]) == (
        "inventory_updater.intake_handler.handle",
        {"Size": 2048},
    )


def test_logs_are_kept_for_thirty_days() -> None:
    assert {properties(name)["RetentionInDays"] for name in LOG_GROUPS} == {"30"}


# Job


def test_every_state_leads_somewhere_and_every_state_can_be_reached() -> None:
    for machine in state_machines():
        following = {name: next_states(state) for name, state in machine["States"].items()}

        assert {machine["StartAt"], *itertools.chain(*following.values())} == set(following)
        ends = [name for name, state in machine["States"].items() if state["Type"] in ("Succeed", "Fail")]
        assert sorted(ends) == sorted(name for name, steps in following.items() if not steps)


def test_what_open_answers_decides_how_the_job_goes_on() -> None:
    opened = states()["Opened?"]

    assert {choice["StringEquals"]: choice["Next"] for choice in opened["Choices"]} == {
        "OPENED": "Segments",
        "DONE": "Done",
        "WAIT": "Wait for the lease",
        "SKIPPED": "Skipped",
    }
    assert opened["Default"] == "Failed"


def test_numbers_of_the_definition_are_numbers() -> None:
    assert state_machines()[0]["TimeoutSeconds"] == 21600
    assert states()["Wait for the lease"]["Seconds"] == 60
    assert states()["Segments"]["MaxConcurrency"] == 40
    assert {960} == {task["TimeoutSeconds"] for task in tasks().values()}


def test_every_task_is_retried_for_what_passes_and_never_outwaits_the_lease() -> None:
    retriers, *others = (task["Retry"] for task in tasks().values())
    named = [error for retrier in retriers for error in retrier["ErrorEquals"]]

    assert sorted(named) == [
        # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
        *("Lambda.AWSLambdaException", "Lambda.SdkClientException"),
        *("Lambda.ServiceException", "Lambda.TooManyRequestsException"),
        # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
        *("Lambda.Unknown", "Sandbox.Timedout", "States.TaskFailed", "States.Timeout"),
    ]
    assert {"FULL"} == {retrier["JitterStrategy"] for retrier in retriers}
    assert sum(map(longest_pauses, retriers)) <= settings.RETRY_PAUSE_SECONDS
    assert others == [retriers, retriers]


def longest_pauses(retrier: Mapping[str, int]) -> float:
    """How long all attempts of a retrier wait together at most, in seconds: full jitter only shortens a pause.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    pauses = (retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n for n in range(retrier["MaxAttempts"]))
    return float(sum(min(pause, retrier["MaxDelaySeconds"]) for pause in pauses))


def test_whatever_goes_wrong_leads_to_close_and_a_segment_that_fails_for_good_leaves_no_trace() -> None:
    to_close = {"ErrorEquals": ["States.ALL"], "Next": "Close"}
    segment_failed = {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Segment failed"}

    assert {name: state["Catch"] for name, state in states().items() if "Catch" in state} == {
        "Open": [to_close],
        "Segments": [to_close],
        "Update": [segment_failed],
    }
    assert states()["Segment failed"]["Type"] == "Succeed"


def test_close_is_given_the_error_that_was_caught_and_an_empty_one_where_there_was_none() -> None:
    # Without a ResultPath, what was caught or selected is all that the next state is given.
    assert "ResultPath" not in states()["Segments"]
    assert states()["Segments"]["ResultSelector"] == {"Error": "", "Cause": ""}
    assert states()["Close"]["Parameters"]["Payload"]["error.$"] == "$"


def test_the_state_machine_is_logged_and_traced() -> None:
    machine = properties("StateMachine")
    log = {"CloudWatchLogsLogGroup": {"LogGroupArn": "StateMachineLogGroup.Arn"}}

    assert machine["LoggingConfiguration"] == {"Level": "ERROR", "IncludeExecutionData": True, "Destinations": [log]}
    assert machine["TracingConfiguration"] == {"Enabled": True}


# Schedule


def test_a_schedule_starts_a_job_of_its_scope_to_the_minute_and_keeps_what_it_could_not_deliver() -> None:
    for name, scope in (("DueSchedule", "due"), ("AllSchedule", "all")):
        schedule = properties(name)
        target = schedule["Target"]
        assert json.loads(target["Input"]) == {"scope": scope, "trigger": "schedule"}
        assert (target["Arn"], target["DeadLetterConfig"]) == ("StateMachine", {"Arn": "UndeliveredQueue.Arn"})
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert (schedule["GroupName"], schedule["ScheduleExpressionTimezone"]) == ("ScheduleGroup", "UTC")


def test_undelivered_starts_are_kept_for_fourteen_days() -> None:
    assert properties("UndeliveredQueue")["MessageRetentionPeriod"] == 14 * 24 * 60 * 60


# Intake


def test_the_bucket_is_private_versioned_and_kept() -> None:
    found = properties("IntakeBucket")

    assert set(found["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(found["PublicAccessBlockConfiguration"]) == 4
    assert found["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    # A first deployment that fails takes its empty bucket with it: left alone it would be in the way of the next.
    kept = (RESOURCES["IntakeBucket"]["DeletionPolicy"], RESOURCES["IntakeBucket"]["UpdateReplacePolicy"])
    assert kept == ("RetainExceptOnCreate", "Retain")


def test_what_is_in_the_bucket_expires_and_what_is_left_of_work_earlier() -> None:
    rules = properties("IntakeBucket", IntakeRetentionDays="60")["LifecycleConfiguration"]["Rules"]

    assert [
        (
            rule.get("Prefix"),
            rule["ExpirationInDays"],
            rule["NoncurrentVersionExpiration"]["NoncurrentDays"],
            rule.get("AbortIncompleteMultipartUpload"),
        )
        for rule in rules
    ] == [(None, "60", "60", {"DaysAfterInitiation": 7}), ("working/", 7, 1, None)]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html
    assert not any("ExpiredObjectDeleteMarker" in rule for rule in rules)


def test_only_what_comes_in_or_is_approved_notifies_the_queue_that_lets_the_bucket() -> None:
    notified = properties("IntakeBucket")["NotificationConfiguration"]
    [configurations] = notified.values()

    assert [(each["Event"], each["Queue"], each["Filter"]["S3Key"]["Rules"]) for each in configurations] == [
        ("s3:ObjectCreated:*", "IntakeQueue.Arn", [{"Name": "prefix", "Value": f"{prefix}/"}])
        for prefix in ("incoming", "approved")
    ]
    assert RESOURCES["IntakeBucket"]["DependsOn"] == "IntakeQueuePolicy"
    [allowed, _] = properties("IntakeQueuePolicy")["PolicyDocument"]["Statement"]
    assert (allowed["Effect"], allowed["Principal"]) == ("Allow", {"Service": "s3.amazonaws.com"})
    assert (allowed["Action"], allowed["Resource"]) == ("sqs:SendMessage", "IntakeQueue.Arn")
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
    assert allowed["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{properties('IntakeBucket')['BucketName']}"},
    }


def test_a_message_is_tried_five_times_and_then_kept_for_at_least_a_week() -> None:
    queue, dead = properties("IntakeQueue"), properties("IntakeDeadLetterQueue")
    day = 24 * 60 * 60

    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "IntakeDeadLetterQueue.Arn", "maxReceiveCount": 5}
    # The age of a message counts on when it becomes a dead letter; the file that it names is kept as long.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    assert dead["MessageRetentionPeriod"] - queue["MessageRetentionPeriod"] == 7 * day
    assert dead["MessageRetentionPeriod"] == PARAMETERS["IntakeRetentionDays"]["MinValue"] * day
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    assert queue["VisibilityTimeout"] == 6 * properties("IntakeFunction")["Timeout"]


def test_lambda_hands_over_ten_messages_to_two_at_once_and_is_told_which_failed() -> None:
    found = properties("IntakeMapping")

    assert (found["EventSourceArn"], found["FunctionName"]) == ("IntakeQueue.Arn", "IntakeFunction")
    assert (found["BatchSize"], found["ScalingConfig"]) == (10, {"MaximumConcurrency": 2})
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    # The engine knows none.
    assert "MaximumBatchingWindowInSeconds" not in found
    # A long file goes round and round, each time a part further.
    # https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
    assert properties("IntakeFunction")["RecursiveLoop"] == "Allow"


# Roles


def test_whoever_acts_acts_in_the_role_that_is_for_it() -> None:
    scheduler = dict.fromkeys(SCHEDULES, "SchedulerRole.Arn")

    assert {name: properties(name)["Target"]["RoleArn"] for name in SCHEDULES} == scheduler
    assert properties("Function")["Role"] == "FunctionRole.Arn"
    assert properties("IntakeFunction")["Role"] == "IntakeRole.Arn"
    assert properties("StateMachine")["RoleArn"] == "StateMachineRole.Arn"


def test_roles_are_granted_whole_actions_on_named_resources_and_on_objects_under_a_prefix() -> None:
    for name in ROLES:
        pairs = {
            (action, re.sub(r"(Bucket\.Arn/[a-z]+/)\*$", r"\1", where)) for action, where in granted(statements(name))
        }
        assert [] == [pair for pair in pairs if "*" in pair[0] or re.search(r".\*|\*.", pair[1])], name
        assert {"Allow"} == {statement["Effect"] for statement in statements(name)}, name


def test_policies_and_statements_say_what_they_allow() -> None:
    for role in ROLES:
        policies = [policy["PolicyName"] for policy in properties(role)["Policies"]]
        sids = [statement["Sid"] for statement in statements(role)]
        assert [] == [name for name in [*policies, *sids] if not re.fullmatch(r"([A-Z][a-z]+){3,}", name)]
        assert len(set(policies)) == len(policies)


# What the function may do is in tests/e2e/test_least_privilege.py, action by action, with what comes of its absence.


@pytest.mark.parametrize("role", ["FunctionRole", "IntakeRole"])
def test_a_function_publishes_metrics_in_one_namespace_only(role: str) -> None:
    [statement] = [one for one in statements(role) if one["Action"] == "cloudwatch:PutMetricData"]

    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "InventoryUpdater"}}


def test_the_state_machine_may_call_what_its_definition_calls_write_its_log_and_be_traced() -> None:
    # Actions for which AWS supports no resource, or for which Step Functions documents no other than `*`.
    # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    # https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html
    logs = """CreateLogDelivery DeleteLogDelivery DescribeLogGroups DescribeResourcePolicies GetLogDelivery
        ListLogDeliveries PutResourcePolicy UpdateLogDelivery"""
    traces = "GetSamplingRules GetSamplingTargets PutTelemetryRecords PutTraceSegments"

    assert granted(statements("StateMachineRole")) == {
        *(("lambda:InvokeFunction", task["Parameters"]["FunctionName"]) for task in tasks().values()),
        *((f"logs:{action}", "*") for action in logs.split()),
        *((f"xray:{action}", "*") for action in traces.split()),
    }


def test_the_scheduler_may_start_what_its_schedules_start_and_keep_what_they_could_not_deliver() -> None:
    due, every, watch = (properties(name)["Target"] for name in ("DueSchedule", "AllSchedule", "WatchSchedule"))

    assert granted(statements("SchedulerRole")) == {
        *(("states:StartExecution", target["Arn"]) for target in (due, every)),
        *(("sqs:SendMessage", target["DeadLetterConfig"]["Arn"]) for target in (due, every)),
        ("lambda:InvokeFunction", watch["Arn"]),
    }


def test_a_role_trusts_one_service_for_one_purpose() -> None:
    trust = {name: properties(name)["AssumeRolePolicyDocument"]["Statement"] for name in ROLES}
    account = {"aws:SourceAccount": "123456789012"}
    machine = {"aws:SourceArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:inventory-updater-dev"}
    group = {"aws:SourceArn": "ScheduleGroup.Arn"}

    assert {"sts:AssumeRole"} == {statement["Action"] for [statement] in trust.values()}
    assert {name: (one["Principal"]["Service"], one.get("Condition")) for name, [one] in trust.items()} == {
        "FunctionRole": ("lambda.amazonaws.com", None),
        "IntakeRole": ("lambda.amazonaws.com", None),
        # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
        "StateMachineRole": ("states.amazonaws.com", {"StringEquals": account, "ArnEquals": machine}),
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        "SchedulerRole": ("scheduler.amazonaws.com", {"StringEquals": account | group}),
    }


def test_the_boundary_of_permissions_holds_for_every_role_where_there_is_one() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"

    for name in ROLES:
        assert properties(name, PermissionsBoundary=boundary)["PermissionsBoundary"] == boundary
        assert "PermissionsBoundary" not in properties(name)


def test_concurrency_is_reserved_only_where_a_number_is_given() -> None:
    assert properties("Function", ReservedConcurrency="8")["ReservedConcurrentExecutions"] == "8"
    assert "ReservedConcurrentExecutions" not in properties("Function")


# Encryption

GIVEN_KEY: Final = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEYS: Final = [("create", "Key.Arn"), (GIVEN_KEY, GIVEN_KEY)]


def bucket_encryption(algorithm: str, key: str | None = None) -> Any:
    by_default = {"SSEAlgorithm": algorithm} | ({"KMSMasterKeyID": key} if key else {})
    rule = {"ServerSideEncryptionByDefault": by_default} | ({"BucketKeyEnabled": True} if key else {})
    return {"ServerSideEncryptionConfiguration": [rule]}


def encryption(key: str) -> dict[str, dict[str, Any]]:
    """What everything that stores something says of its encryption with a key."""
    machine = {"Type": "CUSTOMER_MANAGED_KMS_KEY", "KmsKeyId": key, "KmsDataKeyReusePeriodSeconds": 300}
    by_type: dict[str, dict[str, Any]] = {
        "AWS::DynamoDB::Table": {"SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}},
        "AWS::Lambda::Function": {"KmsKeyArn": key},
        "AWS::Logs::LogGroup": {"KmsKeyId": key},
        "AWS::StepFunctions::StateMachine": {"EncryptionConfiguration": machine},
        "AWS::Scheduler::Schedule": {"KmsKeyArn": key},
        "AWS::SQS::Queue": {"KmsMasterKeyId": key},
        "AWS::SNS::Topic": {"KmsMasterKeyId": key},
        "AWS::S3::Bucket": {"BucketEncryption": bucket_encryption("aws:kms", key)},
    }
    return {name: by_type[found["Type"]] for name, found in RESOURCES.items() if found["Type"] in by_type}


def encryption_found(**parameters: str) -> dict[str, dict[str, Any]]:
    """What everything that stores something says of it in the template, in as far as it says anything."""
    found = {name: (properties(name, **parameters), expected) for name, expected in encryption("any key").items()}
    return {name: {one: stated[one] for one in expected if one in stated} for name, (stated, expected) in found.items()}


def key_statements() -> dict[str, Any]:
    return {statement["Sid"]: statement for statement in properties("Key")["KeyPolicy"]["Statement"]}


@pytest.mark.parametrize(("customer_key", "key"), KEYS)
def test_whatever_stores_something_is_encrypted_with_the_customers_key(customer_key: str, key: str) -> None:
    assert encryption_found(CustomerKey=customer_key) == encryption(key)


def test_without_a_key_the_services_use_their_own() -> None:
    assert {name: found for name, found in encryption_found().items() if found} == {
        # False is the key that DynamoDB owns; a table is never without encryption.
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-dynamodb-table-ssespecification.html
        "InventoryTable": {"SSESpecification": {"SSEEnabled": False}},
        "ChangesTable": {"SSESpecification": {"SSEEnabled": False}},
        "JobsTable": {"SSESpecification": {"SSEEnabled": False}},
        "StateMachine": {"EncryptionConfiguration": {"Type": "AWS_OWNED_KEY"}},
        "IntakeBucket": {"BucketEncryption": bucket_encryption("AES256")},
    }
    # SQS knows one or the other.
    for name in resources_of_type("AWS::SQS::Queue"):
        queues = [properties(name, CustomerKey=given) for given in ("none", "create")]
        assert [queue["SqsManagedSseEnabled"] for queue in queues] == [True, False], name


def test_a_key_is_made_only_when_asked_for() -> None:
    made = [is_true("CreatesKey", parameter_values(CustomerKey=given)) for given in ("none", GIVEN_KEY, "create")]

    assert (RESOURCES["Key"]["Condition"], RESOURCES["KeyAlias"]["Condition"]) == ("CreatesKey", "CreatesKey")
    assert made == [False, False, True]


def test_the_key_is_rotated_every_year_and_kept_by_whoever_no_longer_wants_it() -> None:
    key = RESOURCES["Key"]

    assert (key["Properties"]["EnableKeyRotation"], key["Properties"]["PendingWindowInDays"]) == (True, 30)
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_the_keys_policy_names_the_account_and_services_and_never_a_role_of_the_stack() -> None:
    account = {"AWS": "arn:aws:iam::123456789012:root"}

    assert {sid: statement["Principal"] for sid, statement in key_statements().items()} == {
        "TheAccountAdministersTheKey": account,
        "TheAccountUsesTheKeyThroughServices": account,
        "TheStateMachineEncryptsItsExecutions": account,
        "TheStateMachineEncryptsItsLog": account,
        "TheSchedulerReadsItsSchedules": account,
        "ServicesAreGivenGrants": account,
        "AlarmsPublishToTheEncryptedTopic": {"Service": "cloudwatch.amazonaws.com"},
        "TheBucketNotifiesTheEncryptedQueue": {"Service": "s3.amazonaws.com"},
        "LogsEncryptTheLogGroups": {"Service": "logs.eu-west-1.amazonaws.com"},
        "TheStateMachinesLogIsDelivered": {"Service": "delivery.logs.amazonaws.com"},
    }
    assert "Role" not in json.dumps(properties("Key"))
    assert {"Allow"} == {statement["Effect"] for statement in key_statements().values()}
    assert not any("*" in action for one in key_statements().values() for action in as_list(one["Action"]))


def test_whoever_administers_the_key_cannot_read_with_it() -> None:
    administers = set(key_statements()["TheAccountAdministersTheKey"]["Action"])
    reading = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:CreateGrant"}

    assert administers & reading == set()
    assert administers >= {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"}


def test_every_use_of_the_key_is_bound_to_this_account() -> None:
    conditions = {sid: statement.get("Condition") for sid, statement in key_statements().items()}

    assert [sid for sid, condition in conditions.items() if "123456789012" not in json.dumps(condition)] == [
        "TheAccountAdministersTheKey"
    ]
    # Through the services that hold something encrypted with it, and no others.
    assert conditions["TheAccountUsesTheKeyThroughServices"]["StringEquals"]["kms:ViaService"] == [
        f"{service}.eu-west-1.amazonaws.com"
        for service in ("dynamodb", "lambda", "s3", "scheduler", "sns", "sqs", "states")
    ]


@pytest.mark.parametrize(("customer_key", "key"), KEYS)
def test_the_roles_may_use_the_key_for_what_each_of_them_touches_and_always_bound_to_that(
    customer_key: str, key: str
) -> None:
    added = {
        role: {
            each["Sid"]: (as_list(each["Action"]), each["Resource"], [*itertools.chain(*each["Condition"].values())])
            for each in statements(role, CustomerKey=customer_key)
            if each not in statements(role)
        }
        for role in ROLES
    }
    reads, makes = "kms:Decrypt", "kms:GenerateDataKey"
    via, context = "kms:ViaService", "kms:EncryptionContext:"

    assert added.pop("IntakeRole") == {
        "ReadAndWriteEncryptedTables": added["FunctionRole"]["ReadAndWriteEncryptedTables"],
        "ReadItsEncryptedVariables": ([reads], key, [via]),
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
        "UseEncryptedBucketQueueAndTopic": ([reads, makes], key, [via]),
    }
    assert added == {
        "FunctionRole": {
            # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
            "ReadAndWriteEncryptedTables": (
                [reads, "kms:DescribeKey", "kms:Encrypt", makes, "kms:ReEncryptFrom", "kms:ReEncryptTo"],
                key,
                [via],
            ),
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
            "ReadItsEncryptedVariables": ([reads], key, [via]),
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            "PublishToAnEncryptedTopic": ([reads, makes], key, [via]),
        },
        "StateMachineRole": {
            # https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
            "EncryptItsExecutions": ([reads, makes], key, [f"{context}aws:states:stateMachineArn"]),
            "EncryptWhatIsDeliveredToItsLog": ([makes], key, [f"{context}SourceArn"]),
        },
        "SchedulerRole": {
            # https://docs.aws.amazon.com/scheduler/latest/UserGuide/encryption-rest.html
            "ReadItsEncryptedSchedules": ([reads], key, [f"{context}aws:scheduler:schedule:arn"]),
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
            "SendToTheEncryptedQueue": ([reads, makes], key, [via]),
        },
    }


def test_without_a_key_no_role_speaks_of_one() -> None:
    assert "kms:" not in json.dumps([statements(role) for role in ROLES])


# Who may publish to the topic, and reach queues and bucket


def test_only_this_stacks_alarms_and_functions_publish_to_the_topic() -> None:
    policy = properties("AlertTopicPolicy")
    allowed, denied = policy["PolicyDocument"]["Statement"]

    assert (policy["Topics"], allowed["Resource"], denied["Resource"]) == (["AlertTopic"], "AlertTopic", "AlertTopic")
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", "sns:Publish")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:inventory-updater-*-dev"},
    }
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sns:Publish")
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    assert denied["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": ["FunctionRole.Arn", "IntakeRole.Arn"]},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }


def test_only_the_function_publishes_results_and_only_encrypted_on_the_way() -> None:
    policy = properties("ResultsTopicPolicy")
    denied = policy["PolicyDocument"]["Statement"]

    assert policy["Topics"] == ["ResultsTopic"]
    assert {(each["Effect"], each["Principal"], each["Action"], each["Resource"]) for each in denied} == {
        ("Deny", "*", "sns:Publish", "ResultsTopic")
    }
    assert [each["Condition"] for each in denied] == [
        {"ArnNotEquals": {"aws:PrincipalArn": "FunctionRole.Arn"}},
        {"Bool": {"aws:SecureTransport": "false"}},
    ]


def test_results_go_to_the_bus_where_there_is_one_and_the_function_may_publish_nowhere_else() -> None:
    bus = "arn:aws:events:eu-west-1:123456789012:event-bus/shop"
    names = {"PublishToTheResultsTopic", "SendToTheEventBus"}
    of_its_own = {"StringEquals": {"events:source": SOURCE}}
    for given, told, statement in (
        ("", "ResultsTopic", {"Action": "sns:Publish", "Resource": "ResultsTopic"}),
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
        (bus, bus, {"Action": "events:PutEvents", "Resource": bus, "Condition": of_its_own}),
    ):
        [held] = [each for each in statements("FunctionRole", ResultsBusArn=given) if each["Sid"] in names]

        assert variables(ResultsBusArn=given)["RESULTS_ARN"] == told
        assert held == {"Sid": held["Sid"], "Effect": "Allow", **statement}


def test_nobody_reaches_a_queue_or_the_bucket_without_encryption_on_the_way() -> None:
    def denials(kind: str) -> dict[str, Any]:
        documents = {name: properties(name) for name in resources_of_type(kind)}
        return {
            found.get("Bucket") or found["Queues"][0]: each
            for found in documents.values()
            for each in found["PolicyDocument"]["Statement"]
            if each["Sid"] == "RefuseUnencryptedTransport"
        }

    def denial(action: str, resource: object) -> dict[str, object]:
        everybody = {"Sid": "RefuseUnencryptedTransport", "Effect": "Deny", "Principal": "*"}
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        return {**everybody, "Action": action, "Resource": resource, "Condition": insecure}

    assert denials("AWS::SQS::QueuePolicy") == {
        name: denial("sqs:*", f"{name}.Arn") for name in resources_of_type("AWS::SQS::Queue")
    }
    assert denials("AWS::S3::BucketPolicy") == {
        name: denial("s3:*", [f"{name}.Arn", f"{name}.Arn/*"]) for name in resources_of_type("AWS::S3::Bucket")
    }


def test_whoever_may_write_into_the_bucket_writes_no_receipt_but_the_function() -> None:
    [_, denied] = properties("IntakeBucketPolicy")["PolicyDocument"]["Statement"]
    written = {where for action, where in granted(statements("IntakeRole")) if action == "s3:PutObject"}

    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:PutObject")
    assert set(denied["Resource"]) == written
    assert denied["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": "IntakeRole.Arn"}}


# Suppressions


def test_every_suppression_of_the_security_check_gives_its_reason_beside_the_resource() -> None:
    suppressed = [found["Metadata"]["checkov"]["skip"] for found in RESOURCES.values() if "Metadata" in found]

    assert suppressed
    assert [] == [each for each in itertools.chain(*suppressed) if len(each["comment"].split()) <= 5]


def test_the_policy_for_a_key_of_ones_own_is_that_of_the_stacks_key() -> None:
    written = (TEMPLATE.parent / "docs" / "security.md").read_text(encoding="utf-8")
    [policy] = re.findall(r"(?s)```json\n(.+?)\n```", written)
    placeholders = {"AWS::Region": "REGION", "AWS::AccountId": "ACCOUNT"}
    own = resolve(RESOURCES["Key"]["Properties"], parameter_values(EnvironmentSuffix="SUFFIX") | placeholders)

    assert json.loads(policy)["Statement"] == [
        each for each in own["KeyPolicy"]["Statement"] if each["Sid"] != "TheAccountAdministersTheKey"
    ]
