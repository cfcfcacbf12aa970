"""Fits the coefficient table of `app.algo.classic`.

`python -m app.bench.fit_classic --data DIR --out coefficients.npz` (needs the `dev` extra: torch).

Data of the shipped table: the development folders stills/bsds500 (16 images, both annotators' masks),
stills/coco128 (24 images) and 4–5 frames of each folder of sequences/ (CamVid 2, DAVIS 3, ISAT bedroom,
PUMaVOS 2, VideoMaMa). Objects: per mask the largest 8-connected component of every value, 1–60 % of the
image, at most six per mask. They are research or non-commercial data: only the fitted numbers are in this
repository.

Stages:
1. border: logistic regression of "the majority labels on the two sides differ" on the border features.
2. Three rounds of simulated annotation of every object (point and reach), each with the networks fitted so
   far: hand-set score → first; first → second; both → second again. Each round's clicks answer the
   mistakes of the networks that will ship, which is what `previous` and the later clicks look like in use.
3. first: 78 features → 32 → 16 → 1; second: the same and 21 re-estimated features. Loss: area-weighted cross
   entropy over the object's area plus soft IoU, objects weighted by 1/√(their image's states).
All is cross-validated five-fold by image (a sequence, or all of CamVid, counts as one image; both
annotators of an image stay together). Border probabilities, the previous answers and the re-estimated
features given to a network are always out-of-fold, so it is fitted on inputs as good as it will meet on
unseen images. (The out-of-fold inputs of a training picture come from networks that saw the tested fold:
stacking as usual, a second-order leak.) The folds below were drawn at random, not by the hash used here.

Facts (34 objects of the stills, one each, cross-validated; point iou@1 / 3 / 5 / 10, then reach):
- no fit, mean of ratio features then walk: .46 .57 .68 .77; .47 .62 .74 .83 (superpixel masks).
- first network alone, after one walk: .49 .73 .77 –; .61 .76 .83 – (superpixel masks).
- with the second network, pixels refined: .496 .722 .814 .885, NoC85 5.09; .629 .806 .857 .899, NoC85 4.53;
  best of three .630; .681.
- refitted on rounds played by its own networks (shipped): .506 .714 .821 .886, NoC85 5.09;
  .633 .806 .864 .907, NoC85 4.44; best of three .632; .681.
- resubstitution of the first two-network table, for comparison: .588 .771 .846 .889; .684 .830 .871 .903.
- border model, mean average precision on stills: combined edge strength .350, logistic .387, one hidden
  layer of 16 .370, two of 32 and 16 .368 (too few images for more than a linear model).
- first network by superpixel on the same states, iou at click 1 / 2–3 / 4–5 / 6–8: linear .448 .625 .682
  .739; 32 and 16 hidden units .482 .684 .724 .776.
- superpixel ceiling .90 (1500 watershed markers, objects of 1–60 %).
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.classic.borders import Mlp, border_features, smoothing_matrix
from app.algo.classic.boundary import boundary_channels, histogram_channels, to_lab
from app.algo.classic.features import answer_features, click_features
from app.algo.classic.graph import adjacency, region_means, superpixels
from app.algo.classic.guided import GuidedFilter
from app.algo.classic.model import Model, pack
from app.algo.classic.pixels import Disc, paint_discs, paint_pixels
from app.algo.classic.prepare import Prepared, finish, working_size
from app.algo.classic.segment import node_share, read_clicks, seeds_of
from app.algo.classic.walker import walk
from app.bench.clicks import (
    AREA,
    components,
    dataset_folders,
    excluded_values,
    iou,
    next_click,
    read_image,
    read_mask,
)

Floats = NDArray[Any]  # float32; the stubs of OpenCV promise no more than numbers
Score = Callable[[int, Floats], Floats]

FOLDS = 5
FRAMES_PER_SEQUENCE = 5
OBJECTS_PER_MASK = 6
NODES = 400
"""Superpixels kept of every state."""
HIDDEN = (32, 16)


@dataclass
class Picture:
    """One image with its objects, ready for simulated annotation at working size."""

    group: str
    fold: int
    still: bool
    borders: Floats
    separates: Floats
    importance: Floats
    inputs: tuple[Any, ...]
    small: NDArray[np.uint8]
    objects: list[tuple[NDArray[np.bool_], bool]]

    def prepared(self, border: Mlp) -> Prepared:
        """The picture with border probabilities of `border`."""
        labels, lab, pairs, area, colour, histograms, smooth = self.inputs
        probability = (1 / (1 + np.exp(-border(self.borders)))).astype(np.float32)
        model = Model(border, border, border)
        guide = GuidedFilter(self.small)
        return finish(
            self.small, labels, lab, pairs, area, colour, histograms, probability, smooth, guide, model
        )


@dataclass
class States:
    """Sampled superpixels of simulated annotations: x (s, NODES, d), y, share (s, NODES); the rest (s,)."""

    x: NDArray[np.float16]
    y: Floats
    share: Floats
    size: Floats
    fold: NDArray[np.int64]
    group: list[str]


def pictures(root: Path) -> Iterator[Picture]:
    """Every training picture below `root`; of datasets below a folder called sequences a few frames each."""
    for folder in dataset_folders(root):
        still = "sequences" not in folder.parts
        masks = sorted((folder / "masks").glob("*.png"))
        if not still and len(masks) > FRAMES_PER_SEQUENCE:
            masks = [masks[int(i)] for i in np.linspace(0, len(masks) - 1, FRAMES_PER_SEQUENCE)]
        for path in masks:
            image = next(iter(sorted((folder / "images").glob(path.stem + ".*"))), None)
            if image is None:
                continue
            group = f"{folder.name}/{path.stem}" if still else folder.name.split("_")[0]
            second = folder / "masks_second_annotator" / path.name
            yield _picture(
                image, [p for p in (path, second) if p.is_file()], excluded_values(folder), group, still
            )


def _picture(image: Path, masks: list[Path], excluded: set[int], group: str, still: bool) -> Picture:
    full = read_image(image)
    size = working_size(full.shape[1], full.shape[0])
    small = np.asarray(cv2.resize(full, size, interpolation=cv2.INTER_AREA), np.uint8)
    lab = cv2.GaussianBlur(to_lab(small), (0, 0), 1.0)
    bins = histogram_channels(lab)
    channels = boundary_channels(lab, bins)
    labels = superpixels(np.ascontiguousarray(channels[..., -1]))
    count = int(labels.max()) + 1
    pairs = adjacency(labels)
    area = np.bincount(labels.ravel(), minlength=count).astype(np.float32)
    colour, histograms = region_means(labels, lab, count), region_means(labels, bins, count)
    smooth = smoothing_matrix(pairs, area)
    separates, importance = np.zeros(len(pairs.length)), np.zeros(len(pairs.length))
    objects: list[tuple[NDArray[np.bool_], bool]] = []
    for number, path in enumerate(masks):
        truth = np.asarray(cv2.resize(read_mask(path), size, interpolation=cv2.INTER_NEAREST), np.uint8)
        votes = np.zeros((count, 256))
        np.add.at(votes, (labels.ravel(), truth.ravel()), 1)
        majority = votes.argmax(axis=1)[pairs.ends]
        separates += (majority[:, 0] != majority[:, 1]) / len(masks)
        # Unlabelled things have borders too: background against background is weak evidence.
        background = np.isin(majority, list(excluded)).all(axis=1)
        importance += np.where(background, 0.3, 1.0) / len(masks)
        judged = (
            [mask.sum() for _, mask in components(truth, excluded, AREA)[:1]] if still and number == 0 else []
        )
        for _, mask in components(truth, excluded, (0.01, 0.6))[:OBJECTS_PER_MASK]:
            objects.append((mask, mask.sum() in judged))
    return Picture(
        group=group,
        fold=zlib.crc32(group.encode()) % FOLDS,
        still=still,
        borders=border_features(pairs, channels, colour, histograms, area, smooth),
        separates=separates.astype(np.float32),
        importance=np.sqrt(importance * pairs.length / pairs.length.mean()).astype(np.float32),
        inputs=(labels, lab, pairs, area, colour, histograms, smooth),
        small=small,
        objects=objects,
    )


def train(
    hidden: tuple[int, ...],
    sample: Floats,
    batches: Callable[[np.random.Generator], Iterator[Any]],
    loss: Any,
    epochs: int,
    rate: float,
    decay: float,
) -> Mlp:
    """Fit a tanh network with AdamW on one-cycle rates; `sample` (k, d) sets the standardisation."""
    import torch

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    mean, scale = sample.mean(axis=0), 1 / (sample.std(axis=0) + 1e-3)
    sizes = (sample.shape[1], *hidden, 1)
    layers: list[torch.nn.Module] = []
    for i in range(len(sizes) - 1):
        layers += [torch.nn.Linear(sizes[i], sizes[i + 1]), torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay)
    steps = epochs * sum(1 for _ in batches(np.random.default_rng(0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(epochs):
        for x, *rest in batches(rng):
            inputs = torch.from_numpy(np.clip((x - mean) * scale, -5, 5).astype(np.float32))
            value = loss(net(inputs)[..., 0], *(torch.from_numpy(np.asarray(r, np.float32)) for r in rest))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
    linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    return Mlp(
        mean.astype(np.float32),
        scale.astype(np.float32),
        [layer.weight.detach().numpy().T.copy() for layer in linear],
        [layer.bias.detach().numpy().copy() for layer in linear],
    )


def fit_border(chosen: list[Picture]) -> Mlp:
    """Logistic regression of border probability."""
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    seen = Counter(p.group for p in chosen)
    x = np.concatenate([p.borders for p in chosen])
    y = np.concatenate([p.separates for p in chosen])
    w = np.concatenate([p.importance * (1.0 if p.still else 3 / seen[p.group]) for p in chosen])

    def batches(rng: np.random.Generator) -> Iterator[Any]:
        for part in np.array_split(rng.permutation(len(x)), max(1, len(x) // 2048)):
            yield x[part], y[part], w[part]

    def loss(logit: Any, truth: Any, weight: Any) -> Any:
        return (entropy(logit, truth, reduction="none") * weight).mean()

    return train((), x, batches, loss, epochs=25, rate=8e-3, decay=1e-2)


def fit_nodes(states: States, chosen: NDArray[np.int64], columns: int, epochs: int) -> Mlp:
    """Fit `first` or `second` on the first `columns` features of the chosen states."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    seen = Counter(states.group[i] for i in chosen)
    weight = np.array([seen[states.group[i]] ** -0.5 for i in chosen])
    weight /= weight.mean()
    rng = np.random.default_rng(0)
    some = rng.choice(chosen, min(len(chosen), 500), replace=False)
    sample = states.x[some][..., :columns].reshape(-1, columns).astype(np.float32)

    def batches(rng: np.random.Generator) -> Iterator[Any]:
        order = rng.permutation(len(chosen))
        for part in np.array_split(order, max(1, len(order) // 16)):
            k = chosen[part]
            yield (
                states.x[k][..., :columns].astype(np.float32),
                states.y[k],
                states.share[k],
                states.size[k],
                weight[part],
            )

    def loss(logit: Any, truth: Any, share: Any, size: Any, weight: Any) -> Any:
        chance = torch.sigmoid(logit)
        crossed = (entropy(logit, truth, reduction="none") * share).sum(1) / (size + 0.1)
        both = (share * chance * truth).sum(1)
        either = (share * (chance + truth - chance * truth)).sum(1)
        return ((crossed + 1 - both / (either + 1e-4)) * weight).mean()

    return train(HIDDEN, sample, batches, loss, epochs, rate=4e-3, decay=2e-2)


def play(
    chosen: list[Picture], border: list[Mlp], first: Score, second: Score | None, clicks: int, seed: int
) -> tuple[States, dict[str, list[float]]]:
    """Annotate every object of every picture with superpixel masks; returns the states met, and the mean
    IoU after each click of the benchmark's objects by mode."""
    rng = np.random.default_rng(seed)
    kept: list[tuple[Any, ...]] = []
    reached: dict[str, dict[int, list[float]]] = {"point": {}, "reach": {}}
    for picture in chosen:
        prepared = picture.prepared(border[picture.fold])
        for truth, judged in picture.objects:
            share = (
                np.bincount(prepared.labels.ravel(), weights=truth.ravel(), minlength=prepared.count)
                / prepared.area
            )
            for reach in (False, True):
                points: list[tuple[float, ...]] = []
                answer: NDArray[np.bool_] | None = None
                for turn in range(clicks):
                    if (click := next_click(truth, answer, reach)) is None:
                        break
                    points.append(click)
                    read = read_clicks(prepared, np.array(points))
                    inside, outside = seeds_of(read)
                    before = None if answer is None else node_share(prepared, answer)
                    features = click_features(prepared, read, before)
                    logit = first(picture.fold, features)
                    walked = walk(prepared, logit, inside, outside)
                    features = np.concatenate([features, answer_features(prepared, logit, walked)], axis=1)
                    if second is not None:
                        walked = walk(prepared, second(picture.fold, features), inside, outside)
                    mask = (walked > 0.5)[prepared.labels].astype(np.uint8)
                    discs = [Disc(x, y, r, label > 0.5) for x, y, label, r in points]
                    paint_discs(mask, discs)
                    paint_pixels(mask, discs)
                    answer = mask > 0
                    some = rng.choice(prepared.count, NODES, replace=prepared.count < NODES)
                    part = prepared.area[some] / prepared.area.sum() * prepared.count / NODES
                    size = float(share @ prepared.area / prepared.area.sum())
                    kept.append((features[some].astype(np.float16), share[some], part, size, picture))
                    quality = iou(answer, truth)
                    if judged:
                        reached["reach" if reach else "point"].setdefault(turn, []).append(quality)
                    if quality > 0.97:
                        break
    states = States(
        x=np.stack([k[0] for k in kept]),
        y=np.stack([k[1] for k in kept]).astype(np.float32),
        share=np.stack([k[2] for k in kept]).astype(np.float32),
        size=np.array([k[3] for k in kept], np.float32),
        fold=np.array([k[4].fold for k in kept]),
        group=[k[4].group for k in kept],
    )
    curves = {
        mode: [round(float(np.mean(values)), 3) for _, values in sorted(turns.items())]
        for mode, turns in reached.items()
    }
    return states, curves


def joined(a: States, b: States) -> States:
    """States of two rounds together."""
    arrays = [np.concatenate([getattr(a, n), getattr(b, n)]) for n in ("x", "y", "share", "size", "fold")]
    return States(*arrays, group=a.group + b.group)


def cross_fit(states: States, columns: int, epochs: int) -> list[Mlp]:
    """One network a fold that never saw that fold, then one of everything."""
    sets = [np.flatnonzero(states.fold != k) for k in range(FOLDS)] + [np.arange(len(states.fold))]
    return [fit_nodes(states, chosen, columns, epochs) for chosen in sets]


def ratio_score(_fold: int, features: Floats) -> Floats:
    """Hand-set score of the first round: the mean of the dissimilarity ratios."""
    return 8 * features[:, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]].mean(axis=1)


def fit(root: Path, say: Callable[[str], None] = print) -> dict[str, Mlp]:
    """Fit the whole table on the data below `root`."""
    chosen = list(pictures(root))
    say(f"{len(chosen)} pictures, {sum(len(p.objects) for p in chosen)} objects")
    border = [fit_border([p for p in chosen if p.fold != k]) for k in range(FOLDS)]
    border.append(fit_border(chosen))
    hand, curves = play(chosen, border, ratio_score, None, 8, 0)
    say(f"hand-set score: {curves}")
    width = hand.x.shape[2] - 21
    first = cross_fit(hand, width, 10)
    own, curves = play(chosen, border, lambda k, f: first[k](f), None, 8, 1)
    say(f"first network, cross-validated: {curves}")
    second = cross_fit(own, own.x.shape[2], 10)
    first = cross_fit(joined(hand, own), width, 10)
    last, curves = play(chosen, border, lambda k, f: first[k](f), lambda k, f: second[k](f), 10, 2)
    say(f"both networks, cross-validated: {curves}")
    second = cross_fit(last, last.x.shape[2], 12)
    _, curves = play(
        [p for p in chosen if p.still], border, lambda k, f: first[k](f), lambda k, f: second[k](f), 10, 3
    )
    say(f"refitted, cross-validated, superpixel masks: {curves}")
    return {"border": border[-1], "first": first[-1], "second": second[-1]}


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with stills/ and sequences/")
    parser.add_argument("--out", type=Path, required=True, help="the table to write (.npz)")
    options = parser.parse_args(arguments)
    table: dict[str, Any] = pack(fit(options.data))
    np.savez(options.out, **table)


if __name__ == "__main__":
    main()
