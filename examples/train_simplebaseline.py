"""Train a small SimpleBaseline on pictures that kpkit draws itself: labels to shards, shards to a network, and back.

    python examples/train_simplebaseline.py [--scenes 96] [--epochs 80] [--folder DIR] [--plot loss.png]

Needs the extra `torch`. On two processor cores the defaults take a few minutes. The network is SimpleBaseline's (Xiao
et al. 2018): a residual trunk that halves the picture five times, three deconvolutions that double it, a 1x1
convolution; here narrow and shallow. Loss and decoding are the field's: weighted mean squared error, quarter offset.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import kpkit
import kpkit.torch

INPUT_SIZE = "128x96"
SIGMA = "1.5"
WIDTHS = (32, 64, 128, 256)
BATCH = 8
MEAN, STD = 110.0, 60.0


class Block(nn.Module):
    """Two 3x3 convolutions around which the input is added (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        same = stride == 1 and before == after
        self.skip = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n,before,h,w] -> [n,after,h/stride,w/stride]"""
        return torch.relu(self.body(x) + self.skip(x))


class SimpleBaseline(nn.Module):
    """Pictures [n,3,h,w] to heatmaps [n,K,h/4,w/4]."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, WIDTHS[0], 7, 2, 3, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)]
        layers: list[nn.Module] = [*stem, nn.MaxPool2d(3, 2, 1)]
        before = WIDTHS[0]
        for number, width in enumerate(WIDTHS):
            layers += [Block(before, width, 1 if number == 0 else 2), Block(width, width, 1)]
            before = width
        for _ in range(3):
            layers += [
                nn.ConvTranspose2d(before, 64, 4, 2, 1, bias=False),
                nn.BatchNorm2d(64),
                nn.ReLU(inplace=True),
            ]
            before = 64
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, joints, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [n,3,h,w] -> float32 [n,K,h/4,w/4]"""
        heatmaps: torch.Tensor = self.layers((images.float() - MEAN) / STD)
        return heatmaps


def run_kpkit(*arguments: str) -> None:
    """A kpkit command, as on the command line."""
    subprocess.run([sys.executable, "-m", "kpkit", *arguments, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def make_shards(folder: Path, scenes: int, seed: int) -> Path:
    """Draw scenes, label them as MPII does, and render crops and targets."""
    run_kpkit("demo", str(folder), "--scenes", str(scenes), "--seed", str(seed))
    shards = folder / "shards-for-training"
    options = ("--with-images", "--input-size", INPUT_SIZE, "--sigma", SIGMA)
    run_kpkit("heatmaps", str(folder / "mpii"), *options, "-o", str(shards))
    return shards


def train(shards: Path, epochs: int, workers: int, rate: float = 1e-3) -> tuple[SimpleBaseline, list[float]]:
    """The trained network, and the mean loss of each epoch."""
    data = kpkit.torch.ShardDataset(shards, names=["image", "heatmaps", "weights"], flip=0.5)
    loader = torch.utils.data.DataLoader(
        data,
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        collate_fn=data.collate,
        persistent_workers=workers > 0,
    )
    network = SimpleBaseline(len(data.shards.skeleton))
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * len(loader))
    losses = []
    for epoch in range(epochs):
        network.train()
        total, started = 0.0, time.monotonic()
        for batch in loader:
            difference = (network(batch["image"]) - batch["heatmaps"]) * batch["weights"][:, :, None, None]
            loss = difference.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch["image"])
        losses.append(total / len(data))
        if epoch % 10 == 0 or epoch == epochs - 1:
            print(f"epoch {epoch + 1:3d}  loss {losses[-1]:.5f}  {time.monotonic() - started:.1f} s", flush=True)
    return network, losses


def pck(shards: Path, predict: object, threshold: float = 0.2) -> float:
    """Share of labelled joints within `threshold` of the torso's length (left shoulder to right hip).

    predict  a batch -> joints [n,K,2] in source pixels

    Persons without a torso do not count.
    """
    right = count = 0
    with kpkit.ShardDataset(shards) as data:
        ends = [data.skeleton.keypoints.index(name) for name in ("left_shoulder", "right_hip")]
        for batch in data.batches(32):
            truth = data.to_source(batch["keypoints"], batch["affine"])
            far = np.linalg.norm(predict(data, batch) - truth, axis=-1)
            torso = np.linalg.norm(truth[:, ends[0]] - truth[:, ends[1]], axis=-1)[:, None]
            counts = (batch["weights"] > 0) & np.isfinite(torso)
            right, count = right + int((counts & (far <= threshold * torso)).sum()), count + int(counts.sum())
    return right / count


def by_network(network: SimpleBaseline) -> object:
    """Predictions of the network, decoded by the codec of the shards (msra: quarter offset)."""
    network.eval()

    def predict(data: kpkit.ShardDataset, batch: dict[str, np.ndarray]) -> np.ndarray:
        images = np.ascontiguousarray(batch["image"][..., ::-1].transpose(0, 3, 1, 2))
        with torch.no_grad():
            heatmaps = network(torch.from_numpy(images)).numpy()
        return data.decode({"heatmaps": heatmaps, "affine": batch["affine"]})[0]

    return predict


def by_mean_pose(shards: Path) -> object:
    """What a guess without looking gives: each joint where it is on the average in the crops of `shards`."""
    with kpkit.ShardDataset(shards, names=["keypoints"]) as data:
        mean = np.nanmean(data.read(range(len(data)))["keypoints"], axis=0)
    return lambda data, batch: data.to_source(np.broadcast_to(mean, batch["keypoints"].shape), batch["affine"])


def plot(losses: list[float], path: Path) -> None:
    """The loss curve, as a picture."""
    import cv2

    height, width, pad = 360, 640, 56
    canvas = np.full((height, width, 3), 255, np.uint8)
    logs = np.log10(losses)
    low, high = np.floor(logs.min() * 4) / 4, np.ceil(logs.max() * 4) / 4
    font, grey = cv2.FONT_HERSHEY_SIMPLEX, (110, 110, 110)

    def place(epoch: float, log: float) -> tuple[int, int]:
        x = pad + (width - 2 * pad) * epoch / max(1, len(losses) - 1)
        return round(x), round(height - pad - (height - 2 * pad) * (log - low) / (high - low))

    for tick in np.arange(low, high + 0.01, 0.25):
        cv2.line(canvas, place(0, tick), place(len(losses) - 1, tick), (228, 228, 228), 1)
        cv2.putText(canvas, f"{10**tick:.4f}", (4, place(0, tick)[1] + 4), font, 0.38, grey, 1, cv2.LINE_AA)
    points = np.array([place(epoch, log) for epoch, log in enumerate(logs)])
    cv2.polylines(canvas, [points], isClosed=False, color=(160, 90, 20), thickness=2, lineType=cv2.LINE_AA)
    cv2.putText(canvas, "loss (weighted mean squared error)", (pad, 32), font, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    cv2.putText(canvas, f"epoch 1 to {len(losses)}", (pad, height - 20), font, 0.45, grey, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(path), canvas):
        raise OSError(f"{path} cannot be written")


def main() -> None:
    """Make data, train, and say how good it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=96, help="scenes to train on; a quarter as many are held out")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--workers", type=int, default=1, help="of the loader")
    parser.add_argument("--threads", type=int, default=1, help="of the network; more only help where cores are idle")
    parser.add_argument("--folder", type=Path, help="for data; left out: a temporary one")
    parser.add_argument("--plot", type=Path, help="PNG of the loss curve")
    options = parser.parse_args()
    torch.manual_seed(7)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        training = make_shards(folder / "training", options.scenes, seed=7)
        held_out = make_shards(folder / "held-out", max(2, options.scenes // 4), seed=1007)
        network, losses = train(training, options.epochs, options.workers)
        guess = by_mean_pose(training)
        for name, shards in (("training crops", training), ("held-out scenes", held_out)):
            score, chance = pck(shards, by_network(network)), pck(shards, guess)
            print(f"PCK@0.2 on {name}: {score:.3f} (mean pose: {chance:.3f})")
    if options.plot is not None:
        plot(losses, options.plot)


if __name__ == "__main__":
    main()
