"""AWS Signature Version 4 of one kind of request: a POST of JSON to a service's root, pure.

botocore's signer can sign anything, at three times the price; ``test_signature.py`` holds the two together.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from functools import lru_cache
from typing import NamedTuple

_ALGORITHM = "AWS4-HMAC-SHA256"
_CONTENT_TYPE = "application/x-amz-json-1.0"


class Credentials(NamedTuple):
    """An access key; ``token`` where it is temporary."""

    access_key: str
    secret_key: str
    token: str | None


class Destination(NamedTuple):
    """Where requests go: the ``Host`` header, the region and the service's name for signing."""

    host: str
    region: str
    service: str


def signed_headers(
    destination: Destination, target: str, content: bytes, credentials: Credentials, moment: str
) -> dict[str, str]:
    """The headers of a signed request.

    Args:
        destination: where it goes.
        target: the operation, as in ``X-Amz-Target``.
        content: the request's body.
        credentials: who signs.
        moment: the time of signing as ``YYYYMMDDTHHMMSSZ``, UTC.
    """
    headers = {
        "Content-Type": _CONTENT_TYPE,
        "Host": destination.host,
        "X-Amz-Date": moment,
        "X-Amz-Target": target,
    }
    if credentials.token is not None:
        headers["X-Amz-Security-Token"] = credentials.token
    named = sorted([(name.lower(), value) for name, value in headers.items()])
    signed = ";".join([name for name, _ in named])
    lines = "".join([f"{name}:{value}\n" for name, value in named])
    canonical = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(content).hexdigest()}"
    day = moment[:8]
    scope = f"{day}/{destination.region}/{destination.service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, day, destination.region, destination.service)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return headers


@lru_cache(maxsize=4)  # a new one every day and for every new secret
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
