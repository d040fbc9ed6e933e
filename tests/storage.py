"""Storage servers on this machine, for the real aws and gcloud to talk to."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, Signature=0"


def need(program: str) -> str:
    """The path of a program; without it the test is skipped, but fails where CI is set."""
    path = shutil.which(program)
    if path is None:
        lack(f"{program} is not installed")
    return path


def lack(what: str) -> NoReturn:
    """Skip the test, but fail it where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


class Bucket:
    """A bucket that objects can be put into."""

    def __init__(self, url: str, upload: str, environment: dict[str, str]) -> None:
        self.url = url  # of the server
        self._upload = upload  # of an object, with {key} in it
        self.environment = environment  # what the storage tool has to be told

    def put(self, *keys: str, contents: str = "x") -> None:
        method = "POST" if "?" in self._upload else "PUT"
        for key in keys:
            url = self._upload.format(key=quote(key, safe="" if method == "POST" else "/"))
            request = Request(url, data=contents.encode(), method=method)
            request.add_header("Content-Type", "text/plain")  # a form would be taken apart
            request.add_header("Authorization", SIGNED)  # else nothing can be replaced
            urlopen(request, timeout=20).close()


@contextmanager
def s3_server(folder: Path, name: str) -> Iterator[Bucket]:
    """An S3 server with one bucket; its profile for Weka is called `weka`."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow, and not always needed

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    urlopen(Request(f"{url}/{name}", method="PUT"), timeout=20).close()
    try:
        yield Bucket(url, f"{url}/{name}/{{key}}", aws_environment(folder, url))
    finally:
        server.stop()


def aws_environment(folder: Path, url: str) -> dict[str, str]:
    config = folder / "aws-config"
    config.write_text("[profile weka]\naws_access_key_id = x\naws_secret_access_key = x\n")
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }


@contextmanager
def gs_server(folder: Path, name: str) -> Iterator[Bucket]:
    """A Google Cloud Storage server with one bucket."""
    from gcp_storage_emulator.server import (  # type: ignore[import-untyped]  # noqa: PLC0415
        create_server,
    )

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=name)
    server.start()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{url}/storage/v1/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }
    bucket = Bucket(
        url, f"{url}/upload/storage/v1/b/{name}/o?uploadType=media&name={{key}}", environment
    )
    try:
        yield bucket
    finally:
        server.stop()


@contextmanager
def xml_server(answer: Callable[[str], tuple[int, str]]) -> Iterator[str]:
    """The address of a server that answers each path with a status and XML."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, xml = answer(self.path)
            body = xml.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def denying_s3_server() -> AbstractContextManager[str]:
    """An S3 server that lets nobody in."""
    denial = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return xml_server(lambda path: (403, denial))
