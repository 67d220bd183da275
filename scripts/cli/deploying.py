"""Package the function, deploy the template through the AWS CLI, or delete a stack."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import yaml
from botocore.exceptions import ClientError, NoRegionError, WaiterError

from cli.command_line import CommandLine
from cli.deployments import stack_outputs, use_embedded_engine
from cli.engine import CHECKOUT
from cli.errors import CommandFailed, InputError
from cli.exit_codes import EXIT_DONE
from cli.output import note, print_figures, print_json
from cli.parameter_checks import check_parameters, is_on
from inventory_updater import __version__

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_s3.client import S3Client
    from types_boto3_stepfunctions.client import SFNClient

ENVIRONMENTS: Final = ("dev", "staging", "prod", "local")
TAG_NAMES: Final = ("Project", "Environment", "Owner", "CostCenter", "ManagedBy")
TEMPLATE: Final = CHECKOUT / "template.yaml"
SOURCES: Final = CHECKOUT / "src"
BUILD_DIRECTORY: Final = CHECKOUT / "build"

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
ONLY_TO_BE_DELETED: Final = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"})

_FIRST_TIME_OF_ZIP: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_READABLE_BY_ALL: Final = 0o100644


class DeploymentFailed(CommandFailed):
    """CloudFormation did not do it; its own words have been printed already, or are the text."""


@dataclass(frozen=True, slots=True)
class Package:
    """The function's code, ready for Lambda."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class StackDefinition:
    """What goes into one deployment."""

    stack: str
    parameters: Mapping[str, str]

    @property
    def tags(self) -> dict[str, str]:
        """The stack's tags: the parameters that are tags of its resources."""
        return {name: self.parameters[name] for name in TAG_NAMES if name in self.parameters}


def build_package(directory: Path = BUILD_DIRECTORY, sources: Path = SOURCES) -> Package:
    """Zip the package `inventory_updater`; equal files make an equal archive, byte by byte, wherever and whenever.

    The key holds the hash of the archive, so that new code is a new key and CloudFormation sees the difference.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "inventory-updater.zip"
    unfinished = path.with_suffix(f".{os.getpid()}.zip")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(_package_files(sources), key=lambda file: file.relative_to(sources).as_posix()):
            entry = zipfile.ZipInfo(file.relative_to(sources).as_posix(), _FIRST_TIME_OF_ZIP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this machine is: it decides how the mode is read
            entry.external_attr = _REGULAR_FILE_READABLE_BY_ALL << 16
            archive.writestr(entry, file.read_bytes())
    unfinished.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(path=path, key=f"inventory-updater/{digest}.zip")


def _package_files(sources: Path) -> Iterable[Path]:
    return (
        file for file in (sources / "inventory_updater").rglob("*") if file.suffix == ".py" or file.name == "py.typed"
    )


def read_parameters(file: Path) -> dict[str, str]:
    """The parameters of a file in the form that `aws cloudformation deploy` reads: `{"Parameters": {name: value}}`."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in document["Parameters"].items()}
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f'{file}: not a parameter file, which is {{"Parameters": {{"Name": "value"}}}}') from None


def declared_parameters(template: Path = TEMPLATE) -> dict[str, dict[str, Any]]:
    """The section Parameters of the template."""

    class Loader(yaml.SafeLoader):
        """Passes over CloudFormation's own tags, such as !Ref."""

    Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    declared: dict[str, dict[str, Any]] = yaml.load(template.read_text(encoding="utf-8"), Loader)["Parameters"]
    return declared


def parse_override(text: str) -> tuple[str, str]:
    """`Name=Value` as a pair; raises argparse.ArgumentTypeError where there is no `=` or no name."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not Name=Value")
    return name, value


def ensure_code_bucket(s3: "S3Client", account: str, region: str) -> str:
    """The name of this account's bucket for code and templates; made in the region if missing.

    A new bucket is encrypted and closed to the public:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
    """
    bucket = f"inventory-updater-code-{account}-{region}"
    try:
        # With the owner named, since anybody could have made a bucket of this name.
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
        return bucket
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
    try:
        if region == "us-east-1":  # the one region that must not be named
            s3.create_bucket(Bucket=bucket)
        else:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})  # type: ignore[typeddict-item]  # any region
    except s3.exceptions.BucketAlreadyOwnedByYou:
        pass  # another deployment was faster
    return bucket


def upload_package(s3: "S3Client", package: Package, bucket: str, account: str) -> None:
    """Put the package under its key; one that lies there has the same content and stays."""
    try:
        s3.head_object(Bucket=bucket, Key=package.key, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            raise
        s3.put_object(Bucket=bucket, Key=package.key, Body=package.path.read_bytes(), ExpectedBucketOwner=account)


def deploy_command(definition: StackDefinition, bucket: str) -> list[str]:
    """The call of the AWS CLI that deploys the template.

    Always with a bucket: CloudFormation takes templates of at most 51,200 bytes without one.
    """
    return [
        *(sys.executable, "-P", "-m", "awscli"),  # -P: a json.py of the current directory is not meant
        *("cloudformation", "deploy", "--stack-name", definition.stack, "--template-file", str(TEMPLATE)),
        *("--s3-bucket", bucket, "--s3-prefix", "templates"),
        *("--capabilities", "CAPABILITY_NAMED_IAM", "--no-fail-on-empty-changeset"),
        "--parameter-overrides",
        *(f"{name}={value}" for name, value in sorted(definition.parameters.items())),
        "--tags",
        *(f"{name}={value}" for name, value in sorted(definition.tags.items())),
    ]


def failed_events(cloudformation: "CloudFormationClient", stack: str) -> list[str]:
    """What failed in the stack's last deployment, the first failure first, as lines to print."""
    try:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    except ClientError:
        return []  # it never came to a stack
    lines = []
    for event in events:  # the newest first
        is_stack_itself = event.get("PhysicalResourceId") == event["StackId"]
        status = event.get("ResourceStatus", "")
        if is_stack_itself and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
            break
        if status.endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "no reason given")
            lines.append(f"{event.get('LogicalResourceId')}: {status}: {reason}")
    return lines[::-1]


def deploy(
    session: boto3.Session, definition: StackDefinition, package: Package, environment: Mapping[str, str]
) -> dict[str, str]:
    """Deploy the template and return the stack's outputs. Raises DeploymentFailed after the CLI has said why."""
    account = session.client("sts").get_caller_identity()["Account"]
    s3 = session.client("s3")
    bucket = ensure_code_bucket(s3, account, session.region_name)
    upload_package(s3, package, bucket, account)
    complete = StackDefinition(
        stack=definition.stack,
        parameters=dict(definition.parameters)
        | {"CodeBucket": bucket, "CodeKey": package.key, "PackageVersion": __version__},
    )
    cloudformation = session.client("cloudformation")
    # Standard output is for our own answer; what the CLI says while it waits is for the reader.
    result = subprocess.run(deploy_command(complete, bucket), env=dict(environment), stdout=sys.stderr, check=False)
    if result.returncode != 0:
        raise DeploymentFailed("\n  ".join(["the deployment failed", *failed_events(cloudformation, definition.stack)]))
    return stack_outputs(cloudformation, definition.stack)


def deployed_parameters(cloudformation: "CloudFormationClient", stack: str) -> dict[str, str] | None:
    """The parameters that a stack has now; `None` where there is none yet.

    Raises InputError where there is one that AWS only deletes.
    """
    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    status = found["StackStatus"]
    if status == "REVIEW_IN_PROGRESS":
        return None
    if status in ONLY_TO_BE_DELETED:
        raise InputError(
            f"the stack {stack} is in {status} since its creation or its deletion failed, and can only be deleted: "
            f"scripts/deploy.py --stack {stack} --delete, then deploy it again"
        )
    return {given["ParameterKey"]: given["ParameterValue"] for given in found.get("Parameters", [])}


def start_first_jobs(client: "SFNClient", state_machine: str, parameters: Mapping[str, str]) -> list[str]:
    """Start a job of each scope whose schedule is on, so that the alarms of silence have something to hear of.

    Returns:
        The ids of the jobs. The one over all items waits for the other one.
    """
    now = datetime.now(UTC)
    jobs = []
    for scope in ("due", "all"):
        if is_on(parameters, scope):
            job_id = f"first-{scope}-{now:%Y%m%dT%H%M%SZ}"
            client.start_execution(
                stateMachineArn=state_machine, name=job_id, input=json.dumps({"scope": scope, "trigger": "manual"})
            )
            jobs.append(job_id)
    return jobs


def delete(session: boto3.Session, stack: str) -> bool:
    """Delete a stack and wait until it is gone; False where there was none."""
    cloudformation = session.client("cloudformation")
    try:
        # By its id: a deleted stack is no longer found by its name.
        stack_id = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return False
        raise
    cloudformation.delete_stack(StackName=stack)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=stack_id, WaiterConfig={"Delay": 2, "MaxAttempts": 900}
        )
    except WaiterError:
        problems = failed_events(cloudformation, stack_id)
        raise DeploymentFailed("\n  ".join([f"the stack {stack} could not be deleted", *problems])) from None
    return True


def commands() -> CommandLine:
    line = CommandLine(
        "Package the function and deploy template.yaml with the AWS CLI; or delete a stack.",
        run,
        epilog="AWS is found as the AWS CLI finds it: environment, profile, configuration.",
    )
    line.parser.add_argument(
        "--environment", choices=ENVIRONMENTS, help="whose parameter file to use (default: dev, or local with --local)"
    )
    line.parser.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=parse_override,
        help="set a parameter of the template, whatever the parameter file says; may be repeated",
    )
    line.parser.add_argument(
        "--no-first-jobs",
        action="store_true",
        help="after a first deployment do not start a job of each scope",
    )
    action = line.parser.add_mutually_exclusive_group()
    action.add_argument("--build-only", action="store_true", help="make the package in build/ and stop")
    action.add_argument("--delete", action="store_true", help="delete the stack and wait until it is gone")
    line.parser.add_argument(
        "--if-exists", action="store_true", help="with --delete: that there is no such stack is fine"
    )
    return line


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for, and print the answer."""
    answer = _done(options)
    if options.json:
        print_json(answer)
        return EXIT_DONE
    outputs = answer.get("outputs")
    print_figures([(name, value) for name, value in answer.items() if name not in ("outputs", "first_jobs")], options)
    if isinstance(outputs, dict):
        print_figures(outputs.items(), options, title="Outputs")
    return EXIT_DONE


def _done(options: argparse.Namespace) -> dict[str, object]:
    environment_name = options.environment or ("local" if options.local else "dev")
    stack = options.stack or f"inventory-updater-{environment_name}"
    if options.if_exists and not options.delete:
        raise InputError("--if-exists goes with --delete")
    if options.build_only:
        package = build_package()
        return {"package": str(package.path.relative_to(CHECKOUT)), "key": package.key}
    if options.local:
        use_embedded_engine()
    elif "AWS_REGION" in os.environ:
        # Lambda and version 2 of the AWS CLI go by it; boto3 and version 1 know only the other name.
        os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"]
    session = boto3.Session()
    if session.region_name is None:
        raise NoRegionError
    if options.delete:
        deleted = delete(session, stack)
        if not deleted and not options.if_exists:
            raise InputError(f"there is no stack {stack} in {session.region_name}")
        return {"stack": stack, "deleted": deleted}
    given = read_parameters(CHECKOUT / "parameters" / f"{environment_name}.json") | dict(options.parameter)
    declared = declared_parameters()
    # The AWS CLI drops a name that the template does not have in silence.
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise InputError(f"{TEMPLATE.name} has no parameter {', '.join(unknown)}")
    before = deployed_parameters(session.client("cloudformation"), stack)
    # As the AWS CLI does it: what is not given stays as it is.
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in declared.items()}
    complete = defaults | {name: value for name, value in (before or {}).items() if name in defaults} | given
    for sentence in check_parameters(complete, declared):
        note(f"note: {sentence}")
    package = build_package()
    outputs = deploy(session, StackDefinition(stack=stack, parameters=given), package, os.environ)
    answer: dict[str, object] = {
        "stack": stack,
        "version": outputs["Version"],
        "key": package.key,
        "outputs": outputs,
    }
    if before is None and not options.no_first_jobs:
        started = start_first_jobs(session.client("stepfunctions"), outputs["StateMachineArn"], complete)
        if started:
            answer["first_jobs"] = started
            note(f"started the first jobs: {', '.join(started)}")
    return answer
