"""Two hosts for tests of clusters: network namespaces joined by a cable, or, without them, two loopback addresses."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import environment


def may_make_namespaces() -> bool:
    """Whether this process may make network namespaces."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


def namespaces_work() -> bool:
    """Whether it may, and `ip` is there to join them."""
    return shutil.which("ip") is not None and may_make_namespaces()


@dataclass
class Host:
    """A host: its address, and what stands before a command that runs there."""

    address: str
    prefix: tuple[str, ...] = ()
    cable: str = ""
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, words: Sequence[str], folder: Path, log: Path | None = None) -> subprocess.Popen[str]:
        """A command in a process group of its own; what it says goes to a file or a pipe."""
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(log.open("a")) if log is not None else subprocess.PIPE
            process = subprocess.Popen(
                [*self.prefix, *words],
                cwd=folder,
                env=environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End everything that was started here, and what that has started."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody reaches it while the block runs: its cable is pulled; without one, its processes are stopped."""
        self._set(away=True)
        try:
            yield
        finally:
            self._set(away=False)

    def _set(self, *, away: bool) -> None:
        if self.prefix:
            self.link("down" if away else "up")
            return
        for process in self._running:
            os.killpg(process.pid, signal.SIGSTOP if away else signal.SIGCONT)

    def link(self, state: str) -> None:
        """Plug the host's cable in ("up"), or pull it out ("down")."""
        _ip("-n", self.prefix[-1], "link", "set", self.cable, state)


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[Host, Host]]:
    """Two hosts with network stacks of their own."""
    name = f"kp{secrets.token_hex(3)}"
    hosts = tuple(Host(f"10.213.77.{n}", ("ip", "netns", "exec", f"{name}{n}"), cable=f"{name}v{n}") for n in (1, 2))
    try:
        for host in hosts:
            _ip("netns", "add", host.prefix[-1])
        _ip("link", "add", hosts[0].cable, "type", "veth", "peer", "name", hosts[1].cable)
        for host in hosts:
            _ip("link", "set", host.cable, "netns", host.prefix[-1])
            _ip("-n", host.prefix[-1], "address", "add", f"{host.address}/24", "dev", host.cable)
            _ip("-n", host.prefix[-1], "link", "set", "lo", "up")
            host.link("up")
        yield hosts
    finally:
        for host in hosts:
            host.stop()
            # Its end of the cable goes with it.
            subprocess.run(["ip", "netns", "delete", host.prefix[-1]], capture_output=True, check=False)


@contextlib.contextmanager
def loopbacks() -> Iterator[tuple[Host, Host]]:
    """Two process groups that only know each other's address."""
    hosts = Host("127.0.0.1"), Host("127.0.0.2")
    try:
        yield hosts
    finally:
        for host in hosts:
            host.stop()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert not done.returncode, f"ip {' '.join(words)}: {done.stderr}"
