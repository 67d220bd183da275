"""Signatures of the direct transport beside those of botocore."""

from datetime import UTC, datetime, timedelta
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.dynamodb.signature import Credentials, Destination, signed_headers

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
SECRETS = st.text(VISIBLE, min_size=1, max_size=64)
TOKENS = st.none() | st.text(VISIBLE, min_size=1, max_size=200)
REGIONS = st.sampled_from(["eu-west-1", "us-gov-east-1", "cn-north-1", "local"])
HOSTS = st.sampled_from(["dynamodb.eu-west-1.amazonaws.com", "127.0.0.1:8000", "[::1]:8000", "localhost:4566"])
MOMENTS = st.integers(0, 100 * 365 * 24 * 3600).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
CONTENTS = st.binary(max_size=200) | st.text(max_size=100).map(str.encode)

HERE = Destination("dynamodb.eu-west-1.amazonaws.com", "eu-west-1", "dynamodb")
SOMEBODY = Credentials("AKID", "secret", None)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def signed(
    content: bytes = b"{}",
    credentials: Credentials = SOMEBODY,
    destination: Destination = HERE,
    target: str = "DynamoDB_20120810.Scan",
    moment: datetime = NOON,
) -> dict[str, str]:
    return signed_headers(destination, target, content, credentials, moment.strftime("%Y%m%dT%H%M%SZ"))


def signed_by_botocore(
    content: bytes = b"{}",
    credentials: Credentials = SOMEBODY,
    destination: Destination = HERE,
    target: str = "DynamoDB_20120810.Scan",
    moment: datetime = NOON,
) -> dict[str, str]:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    request = AWSRequest("POST", f"http://{destination.host}/", headers, content)
    signer = SigV4Auth(BotocoreCredentials(*credentials), destination.service, destination.region)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        signer.add_auth(request)
    return dict(request.headers.items())


@given(
    CONTENTS,
    st.builds(Credentials, st.from_regex(r"[A-Z0-9]{4,24}", fullmatch=True), SECRETS, TOKENS),
    st.builds(Destination, HOSTS, REGIONS, st.sampled_from(["dynamodb", "sns"])),
    st.sampled_from(["DynamoDB_20120810.Scan", "DynamoDB_20120810.BatchExecuteStatement", "Another.Target"]),
    MOMENTS,
)
def test_a_request_is_signed_as_botocore_signs_it(
    content: bytes, credentials: Credentials, destination: Destination, target: str, moment: datetime
) -> None:
    headers = signed(content, credentials, destination, target, moment)

    # botocore leaves the host to its connection and signs it all the same.
    assert headers.pop("Host") == destination.host
    assert headers == signed_by_botocore(content, credentials, destination, target, moment)


def test_a_new_secret_and_a_new_day_are_signed_with_a_new_key() -> None:
    first, second = Credentials("AKID", "first", None), Credentials("AKID", "second", None)
    days = [NOON + timedelta(days=number) for number in range(6)]

    # Twice each, in turn: what is kept of an earlier one must not be taken for the next one.
    turns = [(credentials, day) for day in days for credentials in (first, second, first, second)]
    found = [signed(credentials=credentials, moment=day)["Authorization"] for credentials, day in turns]

    assert found == [
        signed_by_botocore(credentials=credentials, moment=day)["Authorization"] for credentials, day in turns
    ]
    assert len(set(found)) == 12


def test_another_region_and_another_service_are_signed_with_a_key_of_their_own() -> None:
    places = [Destination("localhost:4566", region, service) for region in ("a", "b") for service in ("x", "y")]

    found = [signed(destination=place)["Authorization"] for place in places]

    assert found == [signed_by_botocore(destination=place)["Authorization"] for place in places]
    assert len(set(found)) == 4


def test_only_temporary_credentials_send_a_token() -> None:
    assert "X-Amz-Security-Token" not in signed()
    assert signed(credentials=Credentials("AKID", "secret", "token"))["X-Amz-Security-Token"] == "token"
