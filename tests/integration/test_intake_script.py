"""`intake.py` on a bucket and queues, with something in the function's place that writes receipts as a file says."""

import gzip
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from cli import approving, awaiting, dead_letters, intake_verbs, redriving
from cli.deployments import Deployment
from cli.engine import Engine
from cli.intake_bucket import IntakeBucket
from inventory_updater.intake.bucket import FileVersion
from tests.desk import run_here
from tests.engines import Script, make_client, session

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

Run = Callable[..., Script]


@pytest.fixture(scope="module")
def outputs(ministack: Engine) -> Mapping[str, str]:
    """What the template has for the intake, without the function."""
    s3: S3Client = make_client("s3", ministack.endpoint_url)
    s3.create_bucket(Bucket="intake-script", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="intake-script", VersioningConfiguration={"Status": "Enabled"})
    sqs: SQSClient = make_client("sqs", ministack.endpoint_url)
    return {
        "IntakeBucketName": "intake-script",
        "IntakeQueueUrl": sqs.create_queue(QueueName="intake-script")["QueueUrl"],
        "IntakeDeadLetterQueueUrl": sqs.create_queue(QueueName="intake-script-dead")["QueueUrl"],
    }


@pytest.fixture
def deployment(ministack: Engine, outputs: Mapping[str, str]) -> Deployment:
    os.environ.update(ministack.environment({}))
    return Deployment("intake-script", session(), outputs, {})


@pytest.fixture
def s3(deployment: Deployment, outputs: Mapping[str, str]) -> "S3Client":
    """A client whose bucket is empty."""
    client = deployment.session.client("s3")
    bucket = outputs["IntakeBucketName"]
    for each in client.list_object_versions(Bucket=bucket).get("Versions", []):
        client.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    return client


@pytest.fixture
def sqs(deployment: Deployment, outputs: Mapping[str, str]) -> "SQSClient":
    """A client whose queues are empty."""
    client = deployment.session.client("sqs")
    for name in ("IntakeQueueUrl", "IntakeDeadLetterQueueUrl"):
        client.purge_queue(QueueUrl=outputs[name])
    return client


@pytest.fixture
def run(
    deployment: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run `intake.py` in this process, where nobody waits for other servers of the queue than this one."""
    monkeypatch.chdir(tmp_path)
    for module in (intake_verbs, approving, redriving):
        monkeypatch.setattr(module, "find_deployment", lambda _options: deployment)
    monkeypatch.setattr(dead_letters, "LONG_POLL_SECONDS", 0)
    Path("changes.csv").write_text("ACCEPTED", encoding="utf-8")
    return lambda *arguments: run_here(capsys, "intake", *arguments)


class StandIn:
    """Gives a file the receipt that its content names, and notes how it was put; what is approved is accepted."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self.taken: list[tuple[str, bytes, Mapping[str, str]]] = []

    def take_all(self) -> None:
        for each in self._client.list_object_versions(Bucket=self._bucket).get("Versions", []):
            folder, _, name = each["Key"].partition("/")
            receipt = f"receipts/{name}.{each['VersionId']}.json"
            if folder in ("incoming", "approved") and not self._is_there(receipt):
                self._take(folder, name, each["VersionId"], receipt)

    def _is_there(self, key: str) -> bool:
        return bool(self._client.list_objects_v2(Bucket=self._bucket, Prefix=key)["KeyCount"])

    def _take(self, folder: str, name: str, version: str, receipt: str) -> None:
        key = f"{folder}/{name}"
        found = self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version)
        content = found["Body"].read()
        self.taken.append((key, content, found["Metadata"]))
        status = "ACCEPTED" if folder == "approved" else content.decode(errors="replace")
        body = json.dumps(receipt_of(key, version, status))
        if status == "HELD":
            self._client.put_object(Bucket=self._bucket, Key=f"held/{name}.{version}.json", Body=body)
        self._client.put_object(Bucket=self._bucket, Key=receipt, Body=body)


def receipt_of(key: str, version: str, status: str) -> dict[str, object]:
    """A receipt of a file of three rows."""
    is_good = status in ("ACCEPTED", "PARTLY_ACCEPTED")
    problem = {"line": 3, "column": "value", "value": "x", "code": "NOT_A_NUMBER", "message": "x is no number"}
    problems = [] if status == "ACCEPTED" else [problem]
    return {
        "schema": 1,
        "status": status if is_good or status == "HELD" else "REFUSED",
        "key": key,
        "version": version,
        "rows": 3,
        "added": 3 - len(problems) if is_good else 0,
        "known": 0,
        "known_by_status": {},
        "held": int(status == "HELD"),
        "refused": len(problems),
        "not_written": 0,
        "problems": problems,
        "problem_count": len(problems),
        "notes": [],
        "preview": {"items": 2, "prices": {"up": 1, "largest": [{"sku": "MUG", "before": "17.03", "after": "1703"}]}},
        "taken_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
    }


@pytest.fixture
def stand_in(s3: "S3Client", outputs: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """It works while a command waits."""
    taking = StandIn(s3, outputs["IntakeBucketName"])
    monkeypatch.setattr(awaiting, "IntakeBucket", partial(IntakeBucket, sleep=lambda _seconds: taking.take_all()))
    return taking


def put(run: Run, status: str, *arguments: str) -> Script:
    """Put a file that gets a receipt of that status, and wait for it."""
    Path("changes.csv").write_text(status, encoding="utf-8")
    return run("put", "changes.csv", "--wait", *arguments)


# Putting


def test_a_file_is_put_and_the_end_of_the_command_says_what_became_of_it(run: Run, stand_in: StandIn) -> None:
    ended = {
        status: put(run, status, "--json") for status in ("ACCEPTED", "PARTLY_ACCEPTED", "HELD", "REFUSED", "bytes")
    }

    assert {status: (said.status, said.answer["status"]) for status, said in ended.items()} == {
        "ACCEPTED": (0, "ACCEPTED"),
        "PARTLY_ACCEPTED": (4, "PARTLY_ACCEPTED"),
        "HELD": (5, "HELD"),
        "REFUSED": (2, "REFUSED"),
        "bytes": (2, "REFUSED"),
    }
    assert ended["HELD"].errors.endswith(
        "note: nothing is written until somebody approves it: intake.py held approve changes.csv\n"
    )
    assert not ended["ACCEPTED"].errors
    accepted = ended["ACCEPTED"].answer
    figures = {name: accepted[name] for name in ("key", "rows", "added", "known", "refused", "problems")}
    assert figures == {
        "key": "incoming/changes.csv",
        "rows": 3,
        "added": 3,
        "known": 0,
        "refused": 0,
        "problems": [],
    }
    assert [key for key, _content, _metadata in stand_in.taken] == ["incoming/changes.csv"] * 5


def test_how_a_file_is_to_be_read_goes_with_it(run: Run, stand_in: StandIn) -> None:
    options = "--accept-good --decimal-comma --time-zone Europe/Berlin --ids-from sku,reference --as acme/übers.csv"
    assert put(run, "ACCEPTED", *options.split()).status == 0
    assert put(run, "ACCEPTED", "--number-rows", "W12-").status == 0

    assert stand_in.taken == [
        (
            "incoming/acme/übers.csv",
            b"ACCEPTED",
            {
                "accept-good": "true",
                "decimal-comma": "true",
                "time-zone": "Europe/Berlin",
                "ids-from": "sku,reference",
            },
        ),
        ("incoming/changes.csv", b"ACCEPTED", {"number-rows": "W12-"}),
    ]


def test_a_pipe_is_put_as_it_is(run: Run, stand_in: StandIn) -> None:
    content = gzip.compress(b"change_id,sku\n" * 100_000)
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(content))
    writer.start()

    said = run("put", "pipe", "--as", "night.csv.gz", "--wait")

    writer.join()
    assert (said.status, stand_in.taken) == (2, [("incoming/night.csv.gz", content, {})])


def test_without_waiting_a_file_is_only_put(run: Run, s3: "S3Client", outputs: Mapping[str, str]) -> None:
    said = run("put", "changes.csv", "--json")

    bucket = outputs["IntakeBucketName"]
    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert (said.status, said.answer) == (
        0,
        {"bucket": bucket, "key": "incoming/changes.csv", "version": version["VersionId"]},
    )
    assert run("put", "changes.csv").output.startswith("put as incoming/changes.csv, version ")


def test_whoever_stops_waiting_is_told_that_the_file_goes_on(
    run: Run, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stand_in, "take_all", interrupt)
    stopped = put(run, "ACCEPTED")

    assert (stopped.status, stopped.errors.splitlines()[-1]) == (
        130,
        "interrupted: incoming/changes.csv is in the bucket and goes on: intake.py status changes.csv",
    )
    assert "WAITING" in run("show", "changes.csv").output
    # To be typed as it is, whatever the name.
    assert put(run, "ACCEPTED", "--as", "monday's #1.csv").errors.endswith(
        """: intake.py status 'monday'"'"'s #1.csv'\n"""
    )


def test_what_cannot_be_put_is_told(run: Run, s3: "S3Client", outputs: Mapping[str, str]) -> None:
    none_yet = (
        "incoming/changes.csv has no receipt after 0 seconds, or none that these credentials may read; "
        "look later: intake.py status changes.csv"
    )
    cases = {
        "put nowhere.csv": (2, "nowhere.csv: No such file or directory"),
        "put -": (2, "standard input has no name: give it one with --as"),
        "put changes.csv --as acme/": (
            2,
            "the name acme/ ends with /, as only that of a folder does: give another one",
        ),
        f"put changes.csv --as {'n' * 1016}": (2, "the name has more than 1,015 bytes: give a shorter one"),
        "put changes.csv --number-rows Wöche": (
            2,
            "--number-rows: 'Wöche' goes with the file as metadata, which may only be ASCII",
        ),
        "put changes.csv --wait --timeout 0": (1, none_yet),
    }
    said = {command: run(*command.split()) for command in cases}

    told = {command: (each.status, each.errors.splitlines()[-1]) for command, each in said.items()}
    assert told == {command: (status, f"error: {message}") for command, (status, message) in cases.items()}
    assert len(s3.list_object_versions(Bucket=outputs["IntakeBucketName"])["Versions"]) == 1
    for seconds in ("soon", "-1", "nan"):
        assert f"{seconds!r} is no number of seconds" in run("put", "changes.csv", f"--timeout={seconds}").errors


# Receipts


def test_the_newest_files_are_listed_first_and_those_that_wait_with_them(
    run: Run, s3: "S3Client", outputs: Mapping[str, str]
) -> None:
    bucket, taking = outputs["IntakeBucketName"], StandIn(s3, outputs["IntakeBucketName"])
    for name in ("a.csv", "b.csv", "zebra.csv"):
        s3.put_object(Bucket=bucket, Key=f"incoming/{name}", Body=b"ACCEPTED")
        taking.take_all()
    for key in ("receipts/b.csv.1.problems.csv", f"receipts/messages/{uuid.uuid4()}.json", "receipts/"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    s3.put_object(Bucket=bucket, Key="incoming/b.csv", Body=b"ACCEPTED")
    s3.put_object(Bucket=bucket, Key="approved/late.csv", Body=b"ACCEPTED")

    def listed(*arguments: str) -> list[tuple[str, str]]:
        return [(each["key"], each["status"]) for each in run("status", "--json", *arguments).answer["files"]]

    everything = [
        ("approved/late.csv", "WAITING"),
        ("incoming/b.csv", "WAITING"),
        ("incoming/zebra.csv", "ACCEPTED"),
        ("incoming/b.csv", "ACCEPTED"),
        ("incoming/a.csv", "ACCEPTED"),
    ]
    assert listed() == everything
    assert listed("b") == [("incoming/b.csv", "WAITING"), ("incoming/b.csv", "ACCEPTED")]
    assert listed("zebra.csv") == listed("incoming/zebra.csv") == [("incoming/zebra.csv", "ACCEPTED")]
    assert listed("nothing") == []
    assert listed("--limit", "2") == everything[:2]
    assert run("status", "--json", "--limit", "2").answer["has_more"]
    assert not run("status", "--json", "--limit", "5").answer["has_more"]
    assert run("status", "--limit", "4").output.endswith("4 files, and there are more: --all lists them\n")
    assert run("status", "--csv").output.splitlines()[3].startswith("incoming/zebra.csv,ACCEPTED,,2")
    assert run("status", "--limit", "0").errors.endswith("error: --limit: at least 1 file\n")


def test_a_folder_may_be_called_messages_as_that_of_their_receipts_is(
    run: Run, s3: "S3Client", outputs: Mapping[str, str]
) -> None:
    bucket = outputs["IntakeBucketName"]
    s3.put_object(Bucket=bucket, Key="incoming/messages/a.csv", Body=b"ACCEPTED")
    StandIn(s3, bucket).take_all()
    s3.put_object(Bucket=bucket, Key=f"receipts/messages/{uuid.uuid4()}.json", Body=b"{}")

    for begin in ("", "mess", "messages/"):
        files = run("status", "--json", begin).answer["files"]
        assert [(each["key"], each["status"]) for each in files] == [("incoming/messages/a.csv", "ACCEPTED")]
    assert "ACCEPTED" in run("show", "messages/a.csv").output


def test_the_receipt_of_a_file_is_shown_with_its_problems(run: Run, stand_in: StandIn) -> None:  # noqa: ARG001
    first = put(run, "REFUSED", "--json").answer
    newest = put(run, "PARTLY_ACCEPTED", "--json").answer

    assert run("show", "changes.csv", "--json").answer == newest
    assert run("show", "changes.csv", "--json", "--version", first["version"]).answer == first
    assert run("show", "incoming/changes.csv", "--json").answer == newest
    said = run("show", "changes.csv").output
    assert "x is no number" in said
    assert run("show", "approved/changes.csv").errors.endswith("there is no file approved/changes.csv\n")
    assert run("show", "changes").errors.endswith("error: there is no file changes\n")
    assert run("show", "changes.csv", "--version", "1").errors.endswith("there is no file changes.csv of version 1\n")


def test_the_receipt_of_a_message_is_shown_by_its_id(run: Run, s3: "S3Client", outputs: Mapping[str, str]) -> None:
    change = {"index": 0, "change_id": "c1", "sku": "MUG", "location_id": "DC1", "result": "ADDED"}
    receipt = {"schema": 1, "status": "ACCEPTED", "rows": 1, "added": 1, "problems": [], "problem_count": 0}
    receipt |= {"message_id": "m-1", "changes": [change]}
    s3.put_object(
        Bucket=outputs["IntakeBucketName"], Key="receipts/messages/m-1.json", Body=json.dumps(receipt).encode()
    )

    assert run("status", "--message", "m-1", "--json").answer == receipt
    assert "ADDED" in run("status", "--message", "m-1").output
    said = run("status", "--message", "m-2")
    assert (said.status, said.errors.splitlines()[-1]) == (
        2,
        "error: there is no receipt of message m-2, or none that these credentials may read",
    )
    assert run("status", "a", "--message", "m-1").status == 2
    as_rows = run("status", "--message", "m-1", "--csv")
    assert (as_rows.status, as_rows.output, as_rows.errors.splitlines()[-1]) == (
        2,
        "",
        "error: --csv has the rows of a list, and --message prints one receipt: --json has all of it",
    )


@contextmanager
def denied(s3: "S3Client", operation: str) -> Iterator[None]:
    """What this client asks of S3 by this operation is denied."""

    def deny(**_request: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, operation)

    event = f"before-call.s3.{operation}"
    s3.meta.events.register(event, deny)
    yield
    s3.meta.events.unregister(event, deny)


def test_whoever_may_not_list_the_bucket_is_denied_until_there_is_a_receipt(
    run: Run,
    s3: "S3Client",
    outputs: Mapping[str, str],
    stand_in: StandIn,  # noqa: ARG001
) -> None:
    receipt = put(run, "ACCEPTED", "--json").answer
    until_there_is_one = ExitStack()
    until_there_is_one.enter_context(denied(s3, "GetObject"))

    bucket = IntakeBucket(s3, outputs["IntakeBucketName"], sleep=lambda _seconds: until_there_is_one.close())

    assert bucket.wait_for_receipt(FileVersion(receipt["key"], receipt["version"]), 300) == receipt


def goes_once_it_is_listed(s3: "S3Client", bucket: str, key: str, code: str) -> None:
    """An object that is there when it is listed and gone when it is read; S3 says so as ``code``."""

    def gone(params: Mapping[str, object], **_request: object) -> None:
        if str(params["url_path"]).endswith(key):
            s3.meta.events.unregister("before-call.s3.GetObject", gone)
            s3.delete_object(Bucket=bucket, Key=key)
            raise ClientError({"Error": {"Code": code, "Message": code}}, "GetObject")

    s3.meta.events.register("before-call.s3.GetObject", gone)


@pytest.mark.parametrize("code", ["NoSuchKey", "AccessDenied"])
def test_what_goes_between_the_list_and_its_reading_is_left_out(
    run: Run,
    s3: "S3Client",
    outputs: Mapping[str, str],
    stand_in: StandIn,  # noqa: ARG001
    code: str,
) -> None:
    """Of what is not there S3 says to whoever may not list all of the bucket that access is denied.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    bucket = IntakeBucket(s3, outputs["IntakeBucketName"])
    first, second = (put(run, "HELD", "--as", f"{name}.csv", "--json").answer for name in "ab")
    decided = FileVersion(first["key"], first["version"])

    goes_once_it_is_listed(s3, bucket.name, decided.held_key, code)
    assert [each["key"] for each in bucket.held()] == [second["key"]]
    goes_once_it_is_listed(s3, bucket.name, decided.receipt_key, code)
    assert [each["key"] for each in bucket.newest("", None)] == [second["key"]]


def test_whoever_may_list_what_is_held_and_not_read_it_is_told(
    run: Run,
    s3: "S3Client",
    outputs: Mapping[str, str],
    stand_in: StandIn,  # noqa: ARG001
) -> None:
    put(run, "HELD")

    with denied(s3, "GetObject"), pytest.raises(ClientError, match="AccessDenied"):
        IntakeBucket(s3, outputs["IntakeBucketName"]).held()


def test_whoever_may_not_list_versions_sees_the_receipts(
    run: Run,
    s3: "S3Client",
    outputs: Mapping[str, str],
    stand_in: StandIn,  # noqa: ARG001
    capsys: pytest.CaptureFixture[str],
) -> None:
    receipt = put(run, "ACCEPTED", "--json").answer

    with denied(s3, "ListObjectVersions"):
        found = list(IntakeBucket(s3, outputs["IntakeBucketName"]).newest("", None))

    assert found == [receipt]
    assert capsys.readouterr().err == (
        "note: which files have no receipt yet is not known: these credentials may not do ListObjectVersions "
        "(Access Denied)\n"
    )


# Held files


def test_exactly_the_version_that_is_held_is_approved(run: Run, stand_in: StandIn) -> None:
    put(run, "HELD", "--decimal-comma", "--json")

    assert "incoming/changes.csv" in run("held", "list").output
    assert "1703" in run("held", "show", "changes.csv").output
    approved = run("held", "approve", "incoming/changes.csv", "--wait", "--json")

    assert (approved.status, approved.answer["status"], approved.answer["key"]) == (
        0,
        "ACCEPTED",
        "approved/changes.csv",
    )
    assert stand_in.taken[-1] == ("approved/changes.csv", b"HELD", {"decimal-comma": "true"})


def test_of_several_versions_that_are_held_one_has_to_be_named(run: Run, stand_in: StandIn) -> None:  # noqa: ARG001
    versions = [put(run, "HELD", "--json").answer["version"] for _ in range(2)]

    unclear = run("held", "approve", "changes.csv")
    assert unclear.status == 2
    assert f"these versions are held: {versions[0]}, {versions[1]}; name one of them with --version" in unclear.errors
    assert run("held", "show", "changes.csv", "--version", versions[0], "--json").answer["version"] == versions[0]
    assert run("held", "approve", "changes.csv", "--version", versions[1], "--wait").status == 0
    unknown = run("held", "approve", "other.csv")
    assert (unknown.status, unknown.errors.splitlines()[-1]) == (
        2,
        "error: no file is held as incoming/other.csv: intake.py held list",
    )


def test_a_version_that_is_not_the_newest_of_its_file_is_approved_only_by_name(run: Run, stand_in: StandIn) -> None:
    def listed() -> dict[str, str | None]:
        return {each["key"]: each.get("newer_version") for each in run("held", "list", "--json").answer["held"]}

    held = put(run, "HELD", "--json").answer["version"]
    # Of other files, whose names begin or sort like this one's.
    for name in ("changes.csv.gz", "changes.csv/2.csv", "changes", "changes.cs", "changes.csv-"):
        assert put(run, "HELD", "--as", name).status == 5
    assert set(listed().values()) == {None}
    assert "newer_version" not in run("held", "list").output

    newer = put(run, "REFUSED", "--json").answer["version"]
    assert {key: told for key, told in listed().items() if told} == {"incoming/changes.csv": newer}
    assert newer in run("held", "list").output
    taken = list(stand_in.taken)
    refused = run("held", "approve", "changes.csv", "--wait")
    why = f"incoming/changes.csv was put again since: version {newer} is newer than {held}, which is held"
    assert (refused.status, refused.errors.splitlines()[-1]) == (
        2,
        f"error: {why}; --version {held} takes it all the same",
    )
    assert stand_in.taken == taken
    assert run("held", "approve", "changes.csv", "--version", held, "--wait").status == 0
    assert run("held", "approve", "changes", "--wait").status == 0


def test_whoever_may_not_list_versions_sees_what_is_held(
    run: Run,
    s3: "S3Client",
    outputs: Mapping[str, str],
    stand_in: StandIn,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = put(run, "HELD", "--json").answer["version"]
    monkeypatch.setattr(approving, "bucket_of", lambda _deployment: IntakeBucket(s3, outputs["IntakeBucketName"]))

    with denied(s3, "ListObjectVersions"):
        said = run("held", "list", "--json")

    assert [each["version"] for each in said.answer["held"]] == [held]
    assert said.errors == (
        "note: of which files there is a newer version is not known: these credentials may not do ListObjectVersions "
        "(Access Denied)\n"
    )


def test_exactly_the_version_that_is_turned_down_waits_no_more(run: Run, stand_in: StandIn) -> None:
    versions = [put(run, "HELD", "--json").answer["version"] for _ in range(2)]
    taken = list(stand_in.taken)

    unclear = run("held", "drop", "changes.csv")
    assert (unclear.status, "name one of them with --version" in unclear.errors) == (2, True)
    # The key, as held list prints it.
    dropped = run("held", "drop", "incoming/changes.csv", "--version", versions[0])
    waits_no_more = f"incoming/changes.csv, version {versions[0]}, waits no more, and what is held of it is not taken"
    stays = "the file and its receipt (HELD) stay until the bucket's lifecycle deletes them"
    assert (dropped.status, dropped.output) == (0, f"{waits_no_more}; {stays}\n")
    assert [each["version"] for each in run("held", "list", "--json").answer["held"]] == [versions[1]]
    said = run("held", "drop", "changes.csv", "--json").answer["dropped"]
    assert said == {"key": "incoming/changes.csv", "version": versions[1]}

    assert run("held", "list", "--json").answer["held"] == []
    assert run("held", "drop", "changes.csv").errors.endswith(
        "error: no file is held as incoming/changes.csv: intake.py held list\n"
    )
    statuses = {each["version"]: each["status"] for each in run("status", "--json").answer["files"]}
    assert statuses == dict.fromkeys(versions, "HELD")
    stand_in.take_all()
    assert stand_in.taken == taken


# Dead letters

FILE: Final = {"Records": [{"s3": {"object": {"key": "incoming/a+b%C3%BC.csv", "versionId": "1"}}}]}
BODIES: Final = (json.dumps(FILE), '{"changes": [{}, {}]}', "{", '"text"', '{"Records": 3}')


@pytest.fixture
def dead(sqs: "SQSClient", outputs: Mapping[str, str]) -> list[str]:
    """The ids of 25 dead letters, five of each sort."""
    attributes: Any = {
        "trace": {"DataType": "String", "StringValue": "abc"},
        "blob": {"DataType": "Binary", "BinaryValue": b"\0\1"},
    }
    return [
        sqs.send_message(QueueUrl=outputs["IntakeDeadLetterQueueUrl"], MessageBody=body, MessageAttributes=attributes)[
            "MessageId"
        ]
        for body in BODIES * 5
    ]


def taken(sqs: "SQSClient", url: str) -> list[Any]:
    """What is in a queue, which is empty then."""
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        found += messages
    return found


def test_dead_letters_are_listed_again_and_again(run: Run, dead: list[str]) -> None:
    for _ in range(2):
        listed = run("dead", "list", "--json").answer["messages"]
        assert sorted(each["message_id"] for each in listed) == sorted(dead)
    assert {each["body"]: each["about"] for each in listed} == {
        BODIES[0]: "incoming/a bü.csv",
        BODIES[1]: "2 changes",
        BODIES[2]: "no JSON",
        BODIES[3]: "unknown",
        BODIES[4]: "unknown",
    }
    assert listed[0]["attributes"] == {"trace": "abc", "blob": "2 bytes"}
    assert run("dead", "list", "--limit", "3").output.endswith("3 messages, and there are more: --all lists them\n")
    assert len(run("dead", "list", "--csv").output.splitlines()) == 26


def test_a_dead_letter_is_shown_with_all_that_it_says(run: Run, dead: list[str]) -> None:
    assert run("dead", "show", dead[7], "--json").answer["body"] == BODIES[2]
    said = run("dead", "show", dead[6]).output
    assert [text for text in ("2 changes", BODIES[1], "attribute trace", "abc") if text not in said] == []
    unknown = run("dead", "show", "some-id")
    assert (unknown.status, unknown.errors.splitlines()[-1]) == (
        2,
        "error: there is no dead letter some-id, or somebody else is looking at it: see intake.py dead list",
    )


def test_dead_letters_are_sent_again_as_they_were(
    run: Run, dead: list[str], sqs: "SQSClient", outputs: Mapping[str, str]
) -> None:
    redriven = run("dead", "redrive", dead[3], dead[24], "--json").answer["redriven"]

    assert [each["message_id"] for each in redriven] == [dead[3], dead[24]]
    sent = {each["MessageId"]: each for each in taken(sqs, outputs["IntakeQueueUrl"])}
    assert [sent[each["sent_as"]]["Body"] for each in redriven] == [BODIES[3], BODIES[4]]
    attributes = sent[redriven[0]["sent_as"]]["MessageAttributes"]
    assert (attributes["trace"]["StringValue"], attributes["blob"]["BinaryValue"]) == ("abc", b"\0\1")
    assert len(run("dead", "list", "--json").answer["messages"]) == 23

    assert run("dead", "redrive", "--all").output.endswith("23 messages sent again\n")
    assert len(taken(sqs, outputs["IntakeQueueUrl"])) == 23
    assert run("dead", "list", "--json").answer["messages"] == []
    assert [run("dead", "redrive", *words).status for words in ([], ["--all", "some-id"])] == [2, 2]


def test_nothing_is_sent_where_one_of_those_named_is_not_there(
    run: Run, dead: list[str], sqs: "SQSClient", outputs: Mapping[str, str]
) -> None:
    assert run("dead", "redrive", dead[0], "some-id").status == 2
    assert run("dead", "drop", dead[0], "some-id").status == 2
    assert taken(sqs, outputs["IntakeQueueUrl"]) == []
    assert len(run("dead", "list", "--json").answer["messages"]) == 25


def test_dead_letters_are_dropped_by_name(run: Run, dead: list[str]) -> None:
    assert run("dead", "drop", *dead[:2], "--json").answer == {"dropped": dead[:2]}
    assert sorted(each["message_id"] for each in run("dead", "list", "--json").answer["messages"]) == sorted(dead[2:])
