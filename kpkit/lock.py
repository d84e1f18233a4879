"""One run an output: a lock file beside it that says who holds it.

The file is made exclusively and, where the file system can, held by flock, which ends with its process. A lock is stale
where flock was released, or where its process is gone; a process is known by host, boot, process namespace, number and
start, so that a number used again is not taken for it. On file systems without flock the file alone is the lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import secrets
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kpkit.errors import OutputError

LOCK_PREFIX = ".kpkit-lock-"
LOCKED = "KP-OUTPUT-LOCKED"
POLL = 0.2
# An empty lock file is one whose owner is just writing it; after so long nobody is.
NEWBORN = 2.0
_WITHOUT_FLOCK = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}

_held: set[tuple[str, int]] = set()


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    machine  host, boot and process namespace: where `pid` and `start` mean this process and no other
    start    of the process, in ticks since the boot; 0 unknown        began  when the run began, local time
    flocked  it holds the file by flock, too
    """

    host: str = ""
    pid: int = 0
    start: int = 0
    machine: str = ""
    began: str = ""
    command: str = ""
    flocked: bool = False
    token: str = ""

    @classmethod
    def here(cls, *, flocked: bool) -> Owner:
        """The process that asks."""
        return cls(
            host=socket.gethostname(),
            pid=os.getpid(),
            start=start_of(os.getpid()),
            machine=_machine(),
            began=time.strftime("%Y-%m-%d %H:%M:%S"),
            command=_command(),
            flocked=flocked,
            token=secrets.token_hex(8),
        )

    @classmethod
    def parse(cls, data: bytes) -> Owner | None:
        """From a lock file; None where it does not say."""
        try:
            document = json.loads(data)
            owner = cls(**{field.name: document[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError):
            return None
        numbers: tuple[Any, ...] = (owner.pid, owner.start)
        return owner if all(type(number) is int for number in numbers) else None

    @property
    def is_here(self) -> bool:
        """Whether its process would be seen from here."""
        return self.machine == _machine()

    @property
    def lives(self) -> bool:
        """Whether the process is still there; only to be asked where it `is_here`."""
        if not _exists(self.pid):
            return False
        now = start_of(self.pid)
        return not (self.start and now) or now == self.start


def lock_path(output: Path) -> Path:
    """Where the lock of an output stands."""
    return output.parent / f"{LOCK_PREFIX}{output.name}"


def holder(output: Path) -> Owner | None:
    """Who holds the output now; None where nobody does (a stale lock is nobody's)."""
    try:
        descriptor = os.open(lock_path(output), os.O_RDWR)
    except OSError:
        return None
    try:
        held = _flock(descriptor) is False
        owner = Owner.parse(os.pread(descriptor, 65536, 0))
        if held:
            return owner or Owner(host="unknown")
        return owner if owner is not None and _holds(owner, flock=True) else None
    finally:
        os.close(descriptor)


def check_unlocked(output: Path) -> None:
    """Raise OutputError where somebody holds the lock of an output."""
    owner = holder(output)
    if owner is not None:
        raise _refusal(output, owner)


@contextlib.contextmanager
def locked(output: Path, *, wait: bool = False, tell: Callable[[Owner], None] | None = None) -> Iterator[bool]:
    """Hold the lock of an output; gone afterwards, however the block ends. A thread that holds it may take it again.

    wait  until it is free, instead of refusing     tell  called once with the owner that is waited for

    Yields whether it was taken here (False: this thread holds it already). Missing parents of the output are made, and
    removed again where they are empty at the end.

    Raises OutputError with the owner's host and process number where somebody holds it, or the place cannot be written.
    """
    place = lock_path(output)
    mine = (os.path.abspath(place), threading.get_ident())
    if mine in _held:
        yield False
        return
    made = [one for one in place.parents[::-1] if not os.path.exists(one)]
    descriptor = -1
    try:
        while (taken := _take(place)) is None or isinstance(taken, Owner):
            if taken is None:
                continue
            if not wait:
                raise _refusal(output, taken)
            if tell is not None:
                tell(taken)
                tell = None
            time.sleep(POLL)
        descriptor = taken
        _held.add(mine)
        yield True
    finally:
        _held.discard(mine)
        if descriptor >= 0:
            # Before it is closed: once flock is released, another run may have taken the file.
            with contextlib.suppress(OSError):
                os.unlink(place)
            os.close(descriptor)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _take(place: Path) -> int | Owner | None:
    """A descriptor of the lock that is ours now; or its owner; None where it changed meanwhile."""
    born, descriptor = _open(place)
    keep = False
    try:
        flock = _flock(descriptor)
        data = os.pread(descriptor, 65536, 0)
        owner = Owner.parse(data)
        if flock is False:
            return owner or Owner(host="a process that is just starting")
        if not _is_at(descriptor, place):
            return None
        if not born and owner is None and flock is None and not _settled(place, data):
            return Owner(host="a process that is just starting")
        if owner is not None and _holds(owner, flock=bool(flock)):
            return owner
        if not born and flock is None:
            _take_away(place, owner)
            return None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(Owner.here(flocked=bool(flock)))).encode(), 0)
        keep = True
        return descriptor
    except OSError:
        if born:
            with contextlib.suppress(OSError):
                os.unlink(place)
        raise
    finally:
        if not keep:
            os.close(descriptor)


def _open(place: Path) -> tuple[bool, int]:
    """Whether the file was made here, and its descriptor."""
    for _ in range(100):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            return True, os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            pass
        except FileNotFoundError:  # another run has just removed the empty parent that it had made
            continue
        try:
            return False, os.open(place, os.O_RDWR)
        except FileNotFoundError:
            continue
    raise OSError(errno.EBUSY, "the lock file comes and goes", str(place))


def _flock(descriptor: int) -> bool | None:
    """True: held by us now; False: by another; None: this file system has no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _WITHOUT_FLOCK:
            return None
        raise
    return True


def _holds(owner: Owner, *, flock: bool) -> bool:
    """Whether the owner that a lock file names still holds it.

    flock  we could lock the file: an owner that had locked it is gone, wherever it ran
    """
    if flock and owner.flocked:
        return False
    return not owner.is_here or owner.lives


def _settled(place: Path, data: bytes) -> bool:
    """Whether a lock file without an owner stays like that."""
    deadline = time.monotonic() + NEWBORN
    while time.monotonic() < deadline:
        time.sleep(POLL)
        with contextlib.suppress(OSError):
            if place.read_bytes() != data:
                return False
    return True


def _take_away(place: Path, stale: Owner | None) -> None:
    """Remove a stale lock, and never one that another run has put there meanwhile."""
    aside = place.with_name(f"{place.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(place, aside)
        now = Owner.parse(aside.read_bytes())
        if now != stale:
            with contextlib.suppress(OSError):
                os.link(aside, place)
        os.unlink(aside)


def _is_at(descriptor: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(place))
    except OSError:
        return False


def _refusal(output: Path, owner: Owner) -> OutputError:
    who = f"process {owner.pid} on {owner.host}" if owner.pid else owner.host
    since = f", since {owner.began}" if owner.began else ""
    command = f": {owner.command}" if owner.command else ""
    return OutputError(
        "another run writes this output",
        code=LOCKED,
        place=str(output),
        expected="nobody at work here",
        got=f"{who}{since}{command}",
        help="wait for it with --wait, or choose another output with -o",
    )


def start_of(pid: int) -> int:
    """When a process started, in ticks since the boot; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            # The name stands in brackets and may hold anything; what follows it does not.
            return int(stream.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):
        return False


def _command() -> str:
    program = Path(sys.argv[0] or "python")
    name = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join([name, *sys.argv[1:]])[:500]


def _machine() -> str:
    def read(function: Callable[[], Any]) -> str:
        try:
            return str(function()).strip()
        except OSError:
            return ""

    boot = read(lambda: Path("/proc/sys/kernel/random/boot_id").read_text())
    return "/".join([platform.node(), boot, read(lambda: os.readlink("/proc/self/ns/pid"))])
