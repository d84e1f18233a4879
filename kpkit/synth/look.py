"""What a person wears: colours and cuts drawn at random, the same on the left and on the right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[float, float, float]

# BGR.
SKINS: tuple[Colour, ...] = (
    (176, 205, 240),
    (160, 190, 228),
    (130, 168, 214),
    (104, 142, 192),
    (78, 112, 160),
    (58, 84, 124),
    (46, 64, 96),
)
HAIRS: tuple[Colour, ...] = (
    (28, 26, 30),
    (34, 44, 62),
    (36, 60, 96),
    (58, 104, 150),
    (110, 176, 214),
    (40, 74, 160),
    (170, 172, 176),
)
CLOTHS: tuple[Colour, ...] = (
    (60, 60, 205),
    (48, 128, 232),
    (64, 196, 240),
    (92, 176, 84),
    (150, 168, 52),
    (206, 146, 60),
    (178, 92, 52),
    (150, 72, 120),
    (160, 120, 220),
    (235, 235, 232),
    (120, 120, 124),
    (58, 56, 60),
    (120, 190, 170),
    (70, 100, 60),
)
TROUSERS: tuple[Colour, ...] = (
    (128, 82, 44),
    (96, 62, 38),
    (160, 124, 84),
    (56, 54, 58),
    (112, 112, 116),
    (92, 132, 170),
    (66, 92, 120),
    (74, 96, 70),
    (60, 58, 140),
)
SHOES: tuple[Colour, ...] = ((236, 236, 236), (46, 44, 46), (52, 60, 186), (60, 92, 140), (176, 110, 50), (96, 180, 96))
HAIRCUTS: tuple[str, ...] = ("short", "short", "long", "ponytail", "bun", "cap", "bald", "bob")


@dataclass(frozen=True)
class Look:
    """Colours (BGR, 0 to 255) and cuts of one person.

    sleeve       how far the sleeves reach: 0 shoulder, 1 elbow, 2 wrist
    trouser_leg  how far the trousers reach: 0 hip, 1 knee, 2 ankle
    loose        how much wider than the limb the cloth is
    belt_key     where along the spine shirt and trousers meet
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    stripe: Colour | None
    trousers: Colour
    shoes: Colour
    sole: Colour
    socks: Colour
    hat: Colour
    seat: Colour
    haircut: str
    sleeve: float
    trouser_leg: float
    loose: float
    belt_key: float

    def shirt_at(self, height: Array) -> Array:
        """The shirt's colour at places along the spine.

        height   F    float64  in keys of the trunk's outline
        returns  Fx3  float64  BGR
        """
        plain = np.broadcast_to(np.asarray(self.shirt), (len(height), 3))
        if self.stripe is None:
            return plain
        return np.where((np.floor(height * 1.25) % 2 == 0)[:, None], plain, np.asarray(self.stripe))


def _pick(rng: np.random.Generator, palette: tuple[Colour, ...], spread: float = 14.0) -> Colour:
    colour = np.asarray(palette[int(rng.integers(0, len(palette)))]) + rng.uniform(-spread, spread, 3)
    b, g, r = np.clip(colour, 12, 245)
    return float(b), float(g), float(r)


def sample_look(rng: np.random.Generator) -> Look:
    """Draw clothes, skin and hair."""
    skin = _pick(rng, SKINS, 6.0)
    shirt = _pick(rng, CLOTHS)
    trousers = _pick(rng, TROUSERS)
    striped = rng.uniform() < 0.25
    return Look(
        skin=skin,
        hair=_pick(rng, HAIRS, 6.0),
        shirt=shirt,
        stripe=_pick(rng, CLOTHS) if striped else None,
        trousers=trousers,
        shoes=_pick(rng, SHOES),
        sole=(225.0, 225.0, 225.0) if rng.uniform() < 0.5 else (40.0, 40.0, 44.0),
        socks=_pick(rng, ((235, 235, 235), (60, 60, 64), skin)),
        hat=_pick(rng, CLOTHS),
        seat=_pick(rng, ((60, 100, 150), (90, 130, 180), (110, 110, 116))),
        haircut=HAIRCUTS[int(rng.integers(0, len(HAIRCUTS)))],
        sleeve=float(rng.choice([0.25, 0.62, 0.7, 1.95, 1.97])),
        trouser_leg=float(rng.choice([0.7, 0.95, 1.96, 1.97, 1.98])),
        loose=float(rng.uniform(1.06, 1.24)),
        belt_key=float(rng.uniform(3.4, 4.0)),
    )
