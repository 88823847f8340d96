"""How `up` finds out that a child does its work: by using it, as its callers will."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
from urllib.parse import quote, urlencode, urlsplit

PATIENCE_S = 2.0  # one look; the next follows at once

SigningKey = tuple[str, str]  # access key, secret key


async def http_status(url: str, *, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    """
    Return status and body of one plain HTTP request.

    Raises:
        OSError, ValueError, TimeoutError: There was no answer, or none that HTTP knows.
    """
    parts = urlsplit(url)
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            head = (
                f"{method} {target} HTTP/1.0\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.read()  # HTTP/1.0: the answer ends with the connection
        finally:
            writer.close()
    line, _, rest = answer.partition(b"\r\n")
    return int(line.split(b" ", 2)[1]), rest.partition(b"\r\n\r\n")[2]


async def answers_http(url: str) -> bool:
    """Return whether a GET of this URL gives 200."""
    try:
        status, _ = await http_status(url)
    except (OSError, ValueError, IndexError, TimeoutError):
        return False
    return status == 200


async def greets_smtp(host: str, port: int) -> bool:
    """Return whether an SMTP server greets with 220 (RFC 5321, 4.2)."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                greeting = await reader.readline()
                writer.write(b"QUIT\r\n")
                await reader.readline()
            finally:
                writer.close()
    except (OSError, ValueError, TimeoutError):
        return False
    return greeting.startswith(b"220")


async def stores_s3(endpoint: str, bucket: str, key: SigningKey, region: str) -> bool:
    """Return whether an object that was put can be read back: the port opens long before that."""
    try:
        put = presigned(endpoint, bucket, "probe", key, region, method="PUT")
        status, _ = await http_status(put, method="PUT", body=b"probe")
        if status != 200:
            return False
        get = presigned(endpoint, bucket, "probe", key, region, method="GET")
        return await http_status(get) == (200, b"probe")
    except (OSError, ValueError, IndexError, TimeoutError):
        return False


def presigned(
    endpoint: str,
    bucket: str,
    name: str,
    key: SigningKey,
    region: str,
    *,
    method: str,
    now: dt.datetime | None = None,
) -> str:
    """
    Return a URL that may do `method` on this object for a minute.

    boto3 does the same and takes half a second to import, which the start cannot spare.

    Source: AWS Signature Version 4, "Authenticating Requests: Using Query Parameters".
    """
    access_key, secret_key = key
    stamp = (now or dt.datetime.now(dt.UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    path = quote(f"/{bucket}/{name}")
    query = urlencode(
        {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{access_key}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": "host",
        },
        quote_via=quote,
        safe="",
    )
    host = urlsplit(endpoint).netloc
    request = f"{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signing_key = f"AWS4{secret_key}".encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.new(signing_key, to_sign.encode(), "sha256").hexdigest()
    return f"{endpoint}{path}?{query}&X-Amz-Signature={signature}"
