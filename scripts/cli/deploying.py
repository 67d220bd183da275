"""Deploy the template through the AWS CLI, and show what is deployed."""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from botocore.exceptions import ClientError

from cli.command_line import CommandLine
from cli.deleting import delete
from cli.deployment_screens import Preview, drift, parameters_screen, preview_screen
from cli.deployments import Deployment, say_where
from cli.engine import CHECKOUT
from cli.errors import CommandFailed, InputError, explain
from cli.exit_codes import EXIT_FAILED
from cli.job_screens import headline
from cli.output import note, print_figures, print_json, print_screen, view_of
from cli.packaging import build_package, ensure_code_bucket, upload_package
from cli.parameters import TEMPLATE, check_parameters, declared_parameters, is_on, parse_override, wanted_parameters
from cli.pausing import Schedules, ScheduleState, schedules_of
from cli.progress import progress
from cli.stacks import (
    ONLY_TO_BE_DELETED,
    Operation,
    Stack,
    discard,
    discard_empty,
    discard_unmade,
    resource_changes,
)
from cli.targets import ENVIRONMENTS, Target, agreed, only_to_be_deleted, target_of
from cli.watching import Observation, Observer, executions_of
from inventory_updater import __version__
from inventory_updater.tables.inventory_table import SCOPES
from inventory_updater.tables.records import JobStatus

TAG_NAMES: Final = ("Project", "Environment", "Owner", "CostCenter", "ManagedBy")
NAMES_OF_A_PLACE: Final = ("EnvironmentSuffix", "Environment")
"""A stack keeps them for life: with others, a deployment is meant for another stack."""


# Deploying


def deploy(options: argparse.Namespace) -> int | None:
    """Deploy what the files say, after it was shown and confirmed."""
    target = target_of(options)
    declared = declared_parameters()
    wanted = wanted_parameters(target.environment, options.parameter, declared)
    for sentence in check_parameters(wanted, declared):
        note(f"note: {sentence}")
    before = target.found()
    _refuse_another_place(target, before, wanted)
    if options.yes not in (None, True, target.name):
        raise InputError(f"--yes {options.yes}: the stack that is to be deployed is {target.name}")
    if not (options.yes or options.local or options.preview) and (options.json or not sys.stdin.isatty()):
        raise InputError(
            "nobody can be asked here: --yes deploys without asking, --preview only shows what would change"
        )
    account = target.session.client("sts").get_caller_identity()["Account"]
    say_where(options, target.name, account, str(target.session.region_name))

    s3 = target.session.client("s3")
    package = build_package()
    bucket = ensure_code_bucket(s3, account, str(target.session.region_name))
    upload_package(s3, package, bucket, account)
    complete = wanted | {"CodeBucket": bucket, "CodeKey": package.key, "PackageVersion": __version__}
    paused = _paused_schedules(target, before)
    change_set = make_change_set(target, complete, bucket)
    is_agreed = False
    try:
        changes = [] if change_set is None else resource_changes(target.client, target.name, change_set)
        preview = Preview(before, complete, changes)
        if not options.json:
            print_screen(preview_screen(preview, view_of(options)), view_of(options))
        is_agreed = not options.preview and (
            change_set is None or options.yes or options.local or agreed("Deploy this? [y/N]", ("y", "yes"))
        )
    finally:
        if change_set is not None and not is_agreed:
            discard(target.client, target.name, change_set)
    if options.preview:
        if options.json:
            print_json(preview.as_document(), options)
        return None
    if not is_agreed:
        raise InputError("nothing was deployed")
    if change_set is not None:
        _carry_out(target, paused, change_set)
    return _deployed(target, before, complete, preview, paused.scopes, options)


def _refuse_another_place(target: Target, before: Stack | None, wanted: Mapping[str, str]) -> None:
    if before is None:
        return
    if before.status in ONLY_TO_BE_DELETED:
        raise InputError(f"{only_to_be_deleted(target, before)}, then deploy again")
    others = [
        f"{name} is {before.parameters[name]}, not {wanted[name]}"
        for name in NAMES_OF_A_PLACE
        if before.parameters.get(name, wanted[name]) != wanted[name]
    ]
    if before.status == "UPDATE_ROLLBACK_FAILED":
        raise InputError(
            f"the stack {target.name} is in {before.status}: first let it roll back to the end, "
            f"aws cloudformation continue-update-rollback --stack-name {target.name}"
        )
    if before.status.endswith("_IN_PROGRESS"):
        raise InputError(f"the stack {target.name} is in {before.status}: wait until that has ended")
    if others:
        raise InputError(
            f"the stack {target.name} is another one: its {' and its '.join(others)}. Name the stack that you mean "
            "with --stack, or its parameters with --environment and --parameter"
        )


def make_change_set(target: Target, parameters: Mapping[str, str], bucket: str) -> str | None:
    """Let the AWS CLI make a change set, and return its ARN; None where nothing would change.

    Raises CommandFailed with what CloudFormation has against it.
    """
    with progress() as tell:
        tell("asking CloudFormation what would change", 0)
        made = subprocess.run(
            change_set_command(target.name, str(target.session.region_name), parameters, bucket),
            capture_output=True,
            text=True,
            check=False,
        )
    arn = re.search(r"arn:\S+:changeSet/\S+", made.stdout)
    if made.returncode == 0 and arn:
        return arn[0]
    if made.returncode == 0 and "No changes to deploy" in made.stdout:
        discard_empty(target.client, target.name)
        return None
    discard_unmade(target.client, target.name)
    raise CommandFailed(f"the deployment failed\n  {made.stderr.strip() or made.stdout.strip()}")


def change_set_command(stack: str, region: str, parameters: Mapping[str, str], bucket: str) -> list[str]:
    """The call of the AWS CLI that makes a change set of the template.

    Always with a bucket: CloudFormation takes templates of at most 51,200 bytes without one.
    """
    tags = {name: parameters[name] for name in TAG_NAMES if name in parameters}
    return [
        *(sys.executable, "-P", "-m", "awscli"),  # -P: a json.py of the current directory is not meant
        *("cloudformation", "deploy", "--stack-name", stack, "--region", region, "--template-file", str(TEMPLATE)),
        *("--s3-bucket", bucket, "--s3-prefix", "templates", "--capabilities", "CAPABILITY_NAMED_IAM"),
        *("--no-execute-changeset", "--no-fail-on-empty-changeset"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in sorted(parameters.items()))),
        *("--tags", *(f"{name}={value}" for name, value in sorted(tags.items()))),
    ]


@dataclass(frozen=True, slots=True)
class _Paused:
    """The schedules that were paused before a deployment, which may write them anew and switch them on."""

    schedules: Schedules | None = None
    scopes: Sequence[str] = ()

    def keep(self) -> bool:
        """Pause them again where they are on; False where that cannot be done, as while one is being replaced."""
        try:
            if self.schedules:
                self.schedules.pause(self.scopes)
        except ClientError:
            return False
        return True


def _paused_schedules(target: Target, before: Stack | None) -> _Paused:
    if before is None or "ScheduleGroupName" not in before.outputs:
        return _Paused()
    schedules = schedules_of(Deployment(target.name, target.session, before.outputs, before.parameters))
    try:
        scopes = [scope for scope, state in schedules.states().items() if state is ScheduleState.PAUSED]
    except ClientError as error:
        note(f"note: whether schedules are paused is not known, so none is paused again: {explain(error)}")
        return _Paused()
    return _Paused(schedules, scopes) if scopes else _Paused()


def _carry_out(target: Target, paused: _Paused, change_set: str) -> None:
    """Execute a change set, and keep paused what was. Raises CommandFailed with what failed first."""
    operation = Operation(target.client, target.name)
    target.client.execute_change_set(
        StackName=target.name, ChangeSetName=change_set, ClientRequestToken=operation.token
    )
    try:
        with progress() as tell:
            status = operation.wait(tell, meanwhile=paused.keep)
    except KeyboardInterrupt:
        note(f"CloudFormation goes on with the stack {target.name}; its events say how far it is")
        raise
    finally:
        if not paused.keep():
            note(f"could not pause {', '.join(paused.scopes)} again: run job.py pause")
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        lines = [f"the deployment failed: the stack {target.name} is in {status}", *operation.failures()]
        stack = target.found()
        if stack is not None and stack.status in ONLY_TO_BE_DELETED:
            lines.append(only_to_be_deleted(target, stack))
        raise CommandFailed("\n  ".join(lines))


def _deployed(
    target: Target,
    before: Stack | None,
    parameters: Mapping[str, str],
    preview: Preview,
    paused: Sequence[str],
    options: argparse.Namespace,
) -> int | None:
    """What follows a deployment, and its answer."""
    after = target.existing()
    if parameters["DeletionProtection"] == "true" and not after.has_termination_protection:
        target.client.update_termination_protection(StackName=target.name, EnableTerminationProtection=True)
    if paused:
        note(f"still paused: {', '.join(paused)} (until job.py resume)")
    first = None
    if before is None and not options.no_first_job and any(is_on(parameters, scope) for scope in SCOPES):
        first = _first_job(Deployment(target.name, target.session, after.outputs, after.parameters))
    if options.json:
        answer = {"version": after.outputs["Version"], "key": parameters["CodeKey"], **preview.as_document()}
        job = {"first_job": first.as_document()} if first else {}
        print_json({**answer, "paused": paused, **job, "outputs": after.outputs}, options)
    else:
        print_figures(after.outputs.items(), options, title="Outputs")
    return EXIT_FAILED if first is not None and first.status != JobStatus.SUCCEEDED else None


def _first_job(deployment: Deployment) -> Observation:
    """Run a job over all items and wait for its end, so that the alarms of silence have heard of one.

    A schedule by rate begins when it is made, and so may a job of its own: this one waits for it.
    """
    job_id = f"first-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    executions_of(deployment).start(job_id, {"scope": "all", "trigger": "manual"})
    with progress() as tell:
        for seen in Observer(deployment).watch(job_id):
            tell(headline(seen, datetime.now(UTC)), 0)
    note(f"first job {job_id}: {seen.status}")
    return seen


# Showing


def show(options: argparse.Namespace) -> None:
    """Show the parameters in force and what the file says otherwise."""
    target = target_of(options)
    stack = target.existing()
    say_where(options, target.name, stack.account, stack.region)
    wanted = wanted_parameters(target.environment, options.parameter, declared_parameters())
    version = stack.outputs.get("Version", "")
    if options.json:
        differs = {name: {"in_force": now, "by_the_file": then} for name, (now, then) in drift(stack, wanted).items()}
        document = {"status": stack.status, "version": version, "parameters": stack.parameters, "drift": differs}
        print_json({**document, "outputs": stack.outputs}, options)
        return
    print_figures([("status", stack.status), ("version", version)], options, f"Stack {target.name}")
    print()
    print_screen(parameters_screen(stack, wanted, view_of(options)), view_of(options))


# The package alone


def build(options: argparse.Namespace) -> None:
    """Make the package and stop."""
    package = build_package()
    document = {"package": str(package.path.relative_to(CHECKOUT)), "key": package.key}
    if options.json:
        print_json(document, options)
    else:
        print_figures(document.items(), options)


def commands() -> CommandLine:
    line = CommandLine(
        "Package the function and deploy template.yaml with the AWS CLI; show what is deployed; delete a stack.",
        run,
        epilog="The parameter file is the truth: what is neither in it nor given by --parameter has the template's "
        "default after a deployment. AWS is found as the AWS CLI finds it: environment, profile, configuration.",
    )
    parser = line.parser
    _add_parameters(parser, default=None)
    parser.add_argument(
        "--yes",
        nargs="?",
        const=True,
        metavar="NAME",
        help="do not ask; with --delete the name of the stack that is to go has to be given",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--preview", action="store_true", help="show what a deployment would change, and stop")
    action.add_argument("--build-only", action="store_true", help="make the package in build/ and stop")
    action.add_argument("--delete", action="store_true", help="delete the stack and wait until it is gone")
    parser.add_argument("--if-exists", action="store_true", help="with --delete: that there is no such stack is fine")
    parser.add_argument(
        "--no-first-job",
        action="store_true",
        help="after a first deployment with a schedule that is on do not run a job over all items",
    )
    verb = line.add_verb("show", show, "show the parameters in force, the version, and what the file says otherwise")
    _add_parameters(verb, default=argparse.SUPPRESS)
    return line


def _add_parameters(parser: argparse.ArgumentParser, *, default: object) -> None:
    parser.add_argument(
        "--environment",
        choices=ENVIRONMENTS,
        default=default,
        help="whose parameter file to use (default: dev, or local with --local)",
    )
    parser.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=default if default is argparse.SUPPRESS else [],
        type=parse_override,
        help="set a parameter of the template for this deployment, whatever the file says; may be repeated",
    )


def run(options: argparse.Namespace) -> int | None:
    """Do what the options ask for."""
    if options.if_exists and not options.delete:
        raise InputError("--if-exists goes with --delete")
    action: Callable[[argparse.Namespace], int | None] = deploy
    if options.build_only:
        action = build
    elif options.delete:
        action = delete
    return action(options)
