"""Whole scenes: people of several sizes on one floor, things in front of them, the frame cutting some off; with labels.

Every scene depends on (seed, index, width, height) and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.errors import UsageError
from kpkit.synth.backdrop import paint_backdrop
from kpkit.synth.body import JOINT, JOINT_NAMES, Camera, facing_of, pose_body
from kpkit.synth.figure import OWNS, SEAT, Figure, dress
from kpkit.synth.look import sample_look
from kpkit.synth.mesh import Mesh
from kpkit.synth.poses import sample_pose, sample_proportions
from kpkit.synth.props import sample_prop
from kpkit.synth.render import SUPER, Light, Sprite, blend, clip, coverage, paint, painted_box, to_painted

Array = NDArray[np.float64]
Rng = np.random.Generator

MAX_PERSONS = 5
_PROP_OWNER = 255
_LEAST_FRAME = 32
# A shoulder or hip this far behind the trunk's axis (in standing heights) is hidden where the trunk is seen.
_BEHIND_TRUNK = 0.045
_BEHIND_HIPS = 0.030


@dataclass(frozen=True)
class ScenePerson:
    """One person of a scene, exactly known.

    xy         16x2  float64  pixels, (0, 0) the centre of the top-left pixel; true also outside the frame
    visible    16    bool     the joint's own limb is what is seen at its pixel
    inside     16    bool     the joint's pixel lies inside the frame
    head_box   4     float64  x, y, w, h of the bare head, hidden or not, inside the frame or not
    body_box   4     float64  x, y, w, h of all that was painted of the person, hidden or not, inside the frame or not
    area       float          visible pixels
    mask       HxW   bool     visible pixels
    height_px  float          pixels to one standing height
    facing     str            front, back, left or right (the image side a profile looks to)
    pose       str            kind of pose
    """

    xy: Array
    visible: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    head_box: Array
    body_box: Array
    area: float
    mask: NDArray[np.bool_]
    height_px: float
    facing: str
    pose: str


@dataclass(frozen=True)
class Scene:
    """A picture and everyone in it.

    image    HxWx3  uint8  BGR
    persons  far to near; someone whom others hide wholly is still listed, with area 0
    """

    image: NDArray[np.uint8]
    persons: tuple[ScenePerson, ...]


@dataclass(frozen=True)
class _Stage:
    """The camera's place: where the floor begins and how size grows down the image."""

    width: int
    height: int
    horizon: float
    eye: float  # height of the camera in standing heights
    pitch: float
    light: Light

    def camera(self, yaw: float, scale: float, x: float) -> Camera:
        return Camera(yaw, self.pitch, scale, (x, self.horizon + self.eye * scale))


@dataclass(frozen=True)
class _Actor:
    camera: Camera
    mesh: Mesh
    figure: Figure | None


def _random(seed: int, index: int) -> Rng:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))


def _stage(rng: Rng, width: int, height: int) -> tuple[_Stage, float]:
    tallest = float(rng.uniform(170.0, 420.0)) * height / 480.0
    eye = float(rng.uniform(0.55, 0.85))
    foot = height * float(rng.uniform(0.90, 0.985))
    horizon = float(np.clip(foot - eye * tallest, 0.30 * height, 0.62 * height))
    if horizon + eye * tallest > foot:
        eye = (foot - horizon) / tallest
    light = Light(
        direction=(float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.55, 0.9)), float(rng.uniform(0.45, 0.8))),
        ambient=float(rng.uniform(0.52, 0.68)),
        tint=tuple(float(v) for v in rng.uniform(0.95, 1.05, 3)),  # type: ignore[arg-type]  # three values
    )
    return _Stage(width, height, horizon, eye, float(rng.uniform(2.0, 11.0)), light), tallest


def _place(rng: Rng, stage: _Stage, scale: float, taken: list[tuple[float, float]]) -> float:
    """A place along the image's width: mostly free, about one in five across the frame's edge."""
    half = 0.26 * scale
    cut = rng.uniform() < 0.19
    best, room = 0.5 * stage.width, -np.inf
    for _ in range(8):
        if cut:
            past = float(rng.uniform(0.0, 0.18)) * scale
            x = past if rng.uniform() < 0.5 else stage.width - 1 - past
        else:
            x = float(rng.uniform(half, max(stage.width - half, half + 1)))
        gap = min((abs(x - other) - 0.5 * (half + size) for other, size in taken), default=np.inf)
        if gap > 0:
            return x
        if gap > room:
            best, room = x, gap
    return best


def _person(rng: Rng, stage: _Stage, scale: float, taken: list[tuple[float, float]]) -> _Actor:
    around = (0.0, 35.0, -35.0, 90.0, -90.0, 145.0, -145.0, 180.0)
    yaw = around[int(rng.integers(0, len(around)))] + float(rng.uniform(-20, 20))
    x = _place(rng, stage, scale, taken)
    camera = stage.camera(yaw, scale, x)
    if rng.uniform() < 0.07:  # stands nearer than the frame reaches
        camera = replace(camera, origin=(x, camera.origin[1] + float(rng.uniform(0.15, 0.45)) * scale))
    body = pose_body(sample_pose(rng), sample_proportions(rng))
    figure = dress(body, sample_look(rng), scale)
    return _Actor(camera, figure.mesh, figure)


def _cast(rng: Rng, stage: _Stage, tallest: float) -> list[_Actor]:
    """Everyone and everything, far to near."""
    count = int(rng.choice(np.arange(1, MAX_PERSONS + 1), p=[0.28, 0.27, 0.20, 0.15, 0.10]))
    least = 60.0 * stage.height / 480.0
    scales = sorted([tallest, *rng.uniform(max(least, 0.3 * tallest), tallest, count - 1)])
    taken: list[tuple[float, float]] = []
    actors = []
    for scale in scales:
        actor = _person(rng, stage, float(scale), taken)
        taken.append((actor.camera.origin[0], 0.26 * actor.camera.scale))
        actors.append(actor)
    for _ in range(int(rng.choice(3, p=[0.5, 0.35, 0.15]))):
        behind = actors[int(rng.integers(0, len(actors)))]
        if behind.figure is None:
            continue
        scale = behind.camera.scale * float(rng.uniform(1.06, 1.25))
        x = behind.camera.origin[0] + float(rng.uniform(-0.22, 0.22)) * behind.camera.scale
        actors.append(_Actor(stage.camera(float(rng.uniform(-25, 25)), scale, x), sample_prop(rng), None))
    return sorted(actors, key=lambda actor: actor.camera.scale)


def _shadow(image: NDArray[np.uint8], actor: _Actor) -> None:
    """A soft dark spot on the floor."""
    x, y = actor.camera.origin
    scale = actor.camera.scale
    half_w, half_h = 0.24 * scale, 0.055 * scale
    x0, x1 = max(int(x - 1.4 * half_w), 0), min(int(x + 1.4 * half_w), image.shape[1])
    y0, y1 = max(int(y - 2 * half_h), 0), min(int(y + 2 * half_h), image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    gx = ((np.arange(x0, x1, dtype=np.float32) - x) / half_w) ** 2
    gy = ((np.arange(y0, y1, dtype=np.float32) - y) / half_h) ** 2
    dark = 1.0 - 0.42 * np.exp(-1.6 * (gx[None, :] + gy[:, None]))
    image[y0:y1, x0:x1] = np.rint(image[y0:y1, x0:x1] * dark[..., None]).astype(np.uint8)


def _hidden_by_trunk(figure: Figure, camera: Camera) -> NDArray[np.bool_]:
    """Joints that the trunk itself would cover: the far shoulder and the far hip of a turned body.

    returns  16  bool
    """
    depth = (figure.body.joints @ camera.matrix().T)[:, 2]
    hidden = np.zeros(len(JOINT_NAMES), dtype=bool)
    for side in ("left", "right"):
        hidden[JOINT[f"{side}_shoulder"]] = depth[JOINT[f"{side}_shoulder"]] < depth[JOINT["thorax"]] - _BEHIND_TRUNK
        hidden[JOINT[f"{side}_hip"]] = depth[JOINT[f"{side}_hip"]] < depth[JOINT["pelvis"]] - _BEHIND_HIPS
    return hidden


@dataclass(frozen=True)
class _Shown:
    """Who is seen where on the painted grid.

    owner  SUPER*H x SUPER*W  uint8  number of the person, 0 the background, _PROP_OWNER a thing
    part   SUPER*H x SUPER*W  uint8  part of that person
    """

    owner: NDArray[np.uint8]
    part: NDArray[np.uint8]

    def lay(self, sprite: Sprite, number: int) -> None:
        painted = sprite.part > 0
        window = np.s_[sprite.y : sprite.y + painted.shape[0], sprite.x : sprite.x + painted.shape[1]]
        self.owner[window][painted] = np.where(sprite.part == SEAT, _PROP_OWNER, number)[painted]
        self.part[window][painted] = sprite.part[painted]


def _label(figure: Figure, camera: Camera, number: int, body_box: Array, shown: _Shown) -> ScenePerson:
    owner, part = shown.owner, shown.part
    xy, _ = camera.project(figure.body.joints)
    height, width = owner.shape[0] // SUPER, owner.shape[1] // SUPER
    mask = coverage(owner == number) >= 120
    pixel = np.floor(xy + 0.5).astype(int)
    inside = np.all((pixel >= 0) & (pixel < (width, height)), axis=1)
    fine = np.clip(np.rint(to_painted(xy)).astype(int), 0, (width * SUPER - 1, height * SUPER - 1))
    seen = part[fine[:, 1], fine[:, 0]]
    visible = inside & (owner[fine[:, 1], fine[:, 0]] == number) & OWNS[np.arange(len(xy)), seen]
    trunk_seen = (seen >= 1) & (seen <= 2)
    visible &= ~(_hidden_by_trunk(figure, camera) & trunk_seen)
    pixel = np.clip(pixel, 0, (width - 1, height - 1))
    visible &= mask[pixel[:, 1], pixel[:, 0]]
    skull, _ = camera.project(figure.skull)
    low = skull.min(axis=0)
    return ScenePerson(
        xy=xy,
        visible=visible,
        inside=inside,
        head_box=np.concatenate([low, skull.max(axis=0) - low]),
        body_box=body_box,
        area=float(np.count_nonzero(mask)),
        mask=mask,
        height_px=camera.scale,
        facing=facing_of(camera.yaw_deg),
        pose=figure.body.pose.name,
    )


def make_scene(seed: int, index: int, width: int = 640, height: int = 480) -> Scene:
    """Make one labelled scene; the same arguments give the same scene.

    seed           which series of scenes
    index          which scene of the series
    width, height  pixels; people grow with the height

    Raises UsageError for a negative seed or index and for a frame smaller than 32 pixels.
    """
    if seed < 0 or index < 0:
        raise UsageError("a scene's seed and index count from 0", got=f"seed {seed}, index {index}")
    if min(width, height) < _LEAST_FRAME:
        raise UsageError(
            "the frame is too small for a scene", expected=f"at least {_LEAST_FRAME} pixels", got=f"{width}x{height}"
        )
    rng = _random(seed, index)
    stage, tallest = _stage(rng, width, height)
    image = paint_backdrop(rng, width, height, int(stage.horizon) - int(0.02 * height))
    grid = (height * SUPER, width * SUPER)
    shown = _Shown(np.zeros(grid, dtype=np.uint8), np.zeros(grid, dtype=np.uint8))
    people: list[tuple[Figure, Camera, int, Array]] = []
    for actor in _cast(rng, stage, tallest):
        sprite = paint(actor.mesh, actor.camera, stage.light)
        number = _PROP_OWNER
        if actor.figure is not None:
            number = len(people) + 1
            people.append((actor.figure, actor.camera, number, painted_box(sprite, SEAT)))
        piece = clip(sprite, width, height)
        if piece is not None:
            _shadow(image, actor)
            blend(image, piece)
            shown.lay(piece, number)
    _grain(rng, image)
    return Scene(image=image, persons=tuple(_label(*who, shown) for who in people))


def _grain(rng: Rng, image: NDArray[np.uint8]) -> None:
    """Faint sensor noise, in place."""
    noise = rng.integers(0, 7, image.shape[:2], dtype=np.uint8)
    image[:] = cv2.addWeighted(image, 1.0, cv2.merge([noise] * 3), 1.0, -3.0)
