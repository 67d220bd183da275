"""The documents in policies/: clean, small enough, least, and enough for what CloudFormation does for who deploys."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from cfnlint.api import ManualArgs, lint
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from cli.engine import CHECKOUT
from tests.cloudformation import as_list, load_template

DOCUMENTS: Final = (
    *("viewer", "stock-controller", "operator", "supplier", "approver", "calling-service"),
    *("deployer", "deployer-intake", "key-owner"),
)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MANAGED_POLICY_CHARACTERS: Final = 6_144

WITHOUT_A_RESOURCE: Final = {
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    *("cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "cloudwatch:PutMetricData"),
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    *("logs:DescribeQueryDefinitions", "logs:GetQueryResults", "logs:StopQuery"),
    # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    *("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:GetLogDelivery", "logs:ListLogDeliveries"),
    *("logs:UpdateLogDelivery", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
    # https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html
    *("kms:CreateKey", "kms:ListAliases"),
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    "lambda:CreateEventSourceMapping",
}

DEPLOYING: Final = ("deployer", "deployer-intake", "key-owner")

NOT_USED: Final = {
    "a list of all there is, which only CloudFormation's resource import and scans ask for": (
        *("dynamodb:ListTables", "iam:ListRoles", "kms:ListKeys", "lambda:ListFunctions", "states:ListStateMachines"),
        *("scheduler:ListSchedules", "scheduler:ListScheduleGroups", "cloudwatch:ListDashboards"),
        *("sns:ListTopics", "sns:ListSubscriptions", "sqs:ListQueues", "s3:ListAllMyBuckets"),
        "lambda:ListEventSourceMappings",
    ),
    "replicas, imports, streams and insights of tables": (
        *("dynamodb:*Replica", "dynamodb:*Import*", "dynamodb:*KinesisStreaming*", "dynamodb:*ContributorInsights"),
        *("kinesis:*", "s3:GetObjectMetadata", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        "iam:CreateServiceLinkedRole",
    ),
    "items, which a table's replicas and its policy of access are about": (
        *("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query"),
        *("dynamodb:UpdateItem", "dynamodb:DeleteResourcePolicy", "dynamodb:PutResourcePolicy"),
    ),
    "networks, file systems, layers, versions and signing of functions": (
        *("ec2:*", "elasticfilesystem:*", "s3files:*", "lambda:*CodeSigningConfig", "lambda:PublishVersion"),
        *("lambda:AssociateRuntimeAlias", "lambda:PassCapacityProvider"),
        *("lambda:PutFunctionScalingConfig", "lambda:PutRuntimeManagementConfig", "s3:GetObjectVersion"),
    ),
    "managed policies of roles": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "protection, indexes, delivery and tokens of log groups": (
        *("logs:*IndexPolic*", "logs:*DataProtectionPolicy", "logs:PutLogGroupDeletionProtection"),
        *("logs:PutBearerTokenAuthentication", "logs:DeleteResourcePolicy", "firehose:*", "s3:REST.PUT.OBJECT"),
    ),
    "protection of the topic's data": ("sns:PutDataProtectionPolicy",),
    "objects of buckets": ("s3:DeleteObject", "s3:PutObjectAcl"),
    "access lists, replicas, sites, locks, analyses, inventories, tables and logs of buckets": (
        *("s3:PutBucketAcl", "s3:PutBucketAbac", "s3:PutBucketCORS", "s3:PutBucketLogging", "s3:PutBucketWebsite"),
        *("s3:PutBucketReplication", "s3:PutReplicationConfiguration", "s3:Put*ObjectLockConfiguration"),
        *("s3:PutAccelerateConfiguration", "s3:PutAnalyticsConfiguration", "s3:PutIntelligentTieringConfiguration"),
        *("s3:PutInventoryConfiguration", "s3:PutMetricsConfiguration", "s3:*BucketMetadata*", "s3tables:*"),
        *("s3:DeleteBucketAnalyticsConfiguration", "s3:DeleteBucketCors", "s3:DeleteBucketMetricsConfiguration"),
        *("s3:DeleteBucketReplication", "s3:DeleteBucketWebsite"),
    ),
    "taking encryption and expiry from buckets": ("s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle"),
    "switching a key off": ("kms:DisableKey", "kms:DisableKeyRotation"),
}
"""What AWS's registry lists for a type but this template's properties never ask for, by what it is for."""


def statements(document: str) -> list[dict[str, Any]]:
    """The statements of a document, for an environment."""
    text = (CHECKOUT / "policies" / f"{document}.json").read_text(encoding="utf-8")
    for word, value in {"SUFFIX": "prod", "REGION": "eu-west-1", "ACCOUNT": "123456789012"}.items():
        text = text.replace(word, value)
    found: dict[str, Any] = json.loads(text)
    return list(found["Statement"])


def grants(document: str) -> Iterator[tuple[str, str]]:
    for statement in statements(document):
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                yield action, resource


def test_the_documents_are_clean_and_small_enough_to_be_managed_policies() -> None:
    """cfn-lint knows every action, and which resources each may name."""
    documents = {name: {"Version": "2012-10-17", "Statement": statements(name)} for name in DOCUMENTS}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            name.replace("-", ""): {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
            for name, document in documents.items()
        },
    }
    findings = lint(json.dumps(template, indent=1), config=ManualArgs(include_checks=["I"], regions=["eu-west-1"]))

    assert [str(finding) for finding in findings] == []
    sizes = {name: len(json.dumps(document, separators=(",", ":"))) for name, document in documents.items()}
    assert {name: size for name, size in sizes.items() if size > MANAGED_POLICY_CHARACTERS} == {}


def test_nothing_is_granted_on_every_resource_that_could_be_granted_on_one() -> None:
    wide = {(name, action) for name in DOCUMENTS for action, resource in grants(name) if resource == "*"}
    assert {(name, action) for name, action in wide if action not in WITHOUT_A_RESOURCE} == set()
    strangers = {
        (name, resource)
        for name in DOCUMENTS
        for _, resource in grants(name)
        if resource != "*"
        and not any(each in resource for each in ("inventory-", ":key/", ":alarm:*", ":event-source-mapping:*"))
    }
    assert strangers == set()


def test_only_who_deploys_may_delete_anything_but_a_message_and_what_says_that_a_file_waits() -> None:
    deleting = {(name, *grant) for name in DOCUMENTS for grant in grants(name) if "Delete" in grant[0]}
    queues = {
        f"arn:aws:sqs:eu-west-1:123456789012:inventory-updater-{name}-prod" for name in ("undelivered", "intake-dead")
    }
    bucket = "arn:aws:s3:::inventory-intake-prod-123456789012-eu-west-1"
    assert {each for each in deleting if each[0] not in DEPLOYING} == {
        *(("operator", "sqs:DeleteMessage", queue) for queue in queues),
        ("approver", "s3:DeleteObject", f"{bucket}/held/*"),
    }


def test_the_use_of_a_key_is_bound_to_a_service_or_to_the_products_tag_but_for_its_first_minutes() -> None:
    """A tag may take five minutes to count: https://docs.aws.amazon.com/kms/latest/developerguide/tag-authorization.html"""
    bonds = {"kms:ViaService", "aws:ResourceTag/Project", "aws:RequestTag/Project"}
    unbound = [
        (name, statement["Sid"])
        for name in DOCUMENTS
        for statement in statements(name)
        if any(":key/" in resource for resource in as_list(statement["Resource"]))
        and not bonds & set(statement.get("Condition", {}).get("StringEquals", ()))
    ]
    assert unbound == [("key-owner", "SetItUp")]


def test_a_log_group_is_granted_under_both_forms_of_its_name() -> None:
    """Its tags want the ARN without an asterisk, most else the one with it.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
    """
    tags = ((name, *pair) for name in DEPLOYING for pair in grants(name))
    groups = {resource for _, action, resource in tags if action == "logs:TagResource"}
    assert {f"{group}:*" for group in groups if not group.endswith(":*")} == {g for g in groups if g.endswith(":*")}


def test_who_deploys_may_do_what_cloudformation_does_for_the_types_of_the_template() -> None:
    """CloudFormation acts with the deployer's permissions, and AWS's registry says which each type needs.

    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
    """
    types = {resource["Type"] for resource in load_template()["Resources"].values()}
    needed = {
        (action, each)
        for each in types
        for handler in PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", each).schema["handlers"].values()
        for action in handler.get("permissions", [])
    }
    granted = {action for name in DEPLOYING for action, _ in grants(name)}
    unused = {pattern for patterns in NOT_USED.values() for pattern in patterns}

    def is_in(action: str, patterns: set[str]) -> bool:
        return any(fnmatchcase(action, pattern) for pattern in patterns)

    missing = {(action, each) for action, each in needed if not is_in(action, granted | unused)}
    assert missing == set()
    stale = {pattern for pattern in unused if not any(fnmatchcase(action, pattern) for action, _ in needed)}
    assert stale == set()
