"""What happened to the labels, in numbers that can be checked.

`Collector` is handed to every reader and writer. In "raise" mode the first error ends the work; in "collect" mode
errors are kept as findings and the reader goes on as far as it can. `Report` gathers all of it for one command.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kpkit.errors import KpkitError

SCHEMA_VERSION = 1
PLACES_KEPT = 5

Severity = Literal["note", "warning", "error"]


@dataclass
class Issue:
    """One kind of thing noticed, how often, and where first.

    code      stable identifier        severity  note | warning | error
    message   one sentence             count     how many records or joints
    places    the first few places     help      what to do about it
    """

    code: str
    severity: Severity
    message: str
    count: int = 1
    places: list[str] = field(default_factory=list)
    help: str = ""


@dataclass
class Loss:
    """Something the target format cannot hold.

    what   column or field, e.g. "truncated"      count  values that do not survive
    why    one sentence                           example  one place, where known
    """

    what: str
    count: int
    why: str
    example: str = ""


@dataclass
class JointLine:
    """How one target joint was made.

    joint  name    kind  exact | approximate | derived | absent    rule  human-readable
    persons_with / persons_without  how many persons got it or did not    by_alternative  persons by rule used
    """

    joint: str
    kind: str
    rule: str
    sources: list[str]
    persons_with: int
    persons_without: int
    by_alternative: list[int]


class Collector:
    """Gathers issues while files are read and written.

    mode         "raise": the first error is raised; "collect": errors are kept as findings
    places_kept  how many places of an issue are kept; readers name no more of them. None: every one
    """

    def __init__(self, mode: Literal["raise", "collect"] = "raise", *, places_kept: int | None = PLACES_KEPT) -> None:
        self.mode = mode
        self.places_kept = places_kept
        self._issues: dict[tuple[str, str], Issue] = {}

    def issue(
        self,
        code: str,
        message: str,
        *,
        place: str = "",
        count: int = 1,
        severity: Severity = "warning",
        places: list[str] | None = None,
        help: str = "",
    ) -> None:
        """Note something suspicious that is kept; equal code and message are counted together."""
        if count <= 0:
            return
        known = self._issues.setdefault((code, message), Issue(code, severity, message, 0, [], help))
        known.count += count
        for one in ([place] if place else []) + (places or []):
            if self.places_kept is None or len(known.places) < self.places_kept:
                known.places.append(one)

    def take(self, issues: Iterable[Issue]) -> None:
        """Note what another collector did, in another process as a rule."""
        for one in issues:
            self.issue(one.code, one.message, count=one.count, severity=one.severity, places=one.places, help=one.help)

    def note(self, code: str, message: str, *, place: str = "", count: int = 1) -> None:
        """Say a decision that was made, e.g. which skeleton was taken."""
        self.issue(code, message, place=place, count=count, severity="note")

    def error(self, error: KpkitError) -> None:
        """Raise the error, or keep it as a finding in "collect" mode."""
        if self.mode == "raise":
            raise error
        text = error.message
        if error.expected:
            text += f"; expected {error.expected}"
        if error.got:
            text += f"; got {error.got}"
        self.issue(error.code, text, place=error.place, severity="error", help=error.help)

    @property
    def issues(self) -> list[Issue]:
        """All issues, errors first, then warnings, then notes; in order of appearance within each."""
        order = {"error": 0, "warning": 1, "note": 2}
        return sorted(self._issues.values(), key=lambda issue: order[issue.severity])


@dataclass
class Report:
    """The account of one command.

    command       e.g. "convert"            inputs, output     paths as given
    source/target format, variant and skeleton on either side  via  skeletons passed through, if composed
    counts        images, instances, labelled, visible, occluded, unlabelled, truncated, crowd
    joints        one line a target joint   losses, issues     see there
    files         what was written: path and bytes
    """

    command: str
    inputs: list[str] = field(default_factory=list)
    output: str = ""
    dry_run: bool = False
    source: dict[str, str] = field(default_factory=dict)
    target: dict[str, str] = field(default_factory=dict)
    via: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    joints: list[JointLine] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def lossless(self) -> bool:
        """Nothing the target could not hold."""
        return not self.losses

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version; see schemas/json/report.schema.json."""
        return {"schema_version": SCHEMA_VERSION, "lossless": self.lossless, **asdict(self)}
