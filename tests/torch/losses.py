# SPDX-License-Identifier: Apache-2.0
"""The detection losses in PyTorch's operators. Boxes: rows of image, class, centre x and y, width and
height, as shares of the image's sides."""

import math

import torch
from torch.nn import functional

TINY = 1e-7


def ciou(a, b):
    """Complete IoU of pairs of boxes given by their corners."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    iou = common / (size_a.prod(1) + size_b.prod(1) - common + TINY)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]).square().sum(1) / 4
    angle = torch.atan(size_b[:, 0] / (size_b[:, 1] + TINY)) - torch.atan(
        size_a[:, 0] / (size_a[:, 1] + TINY))
    v = angle.square() * (4 / math.pi**2)
    with torch.no_grad():
        alpha = v / (v - iou + (1 + TINY))
    return iou - apart / (hull.square().sum(1) + TINY) - alpha * v


def corners(centre, size):
    return torch.cat((centre - size / 2, centre + size / 2), 1)


class LossV5:
    """Anchors matched by shape; CIoU on the matches, cross entropy on classes and objectness."""

    BALANCE = (4.0, 1.0, 0.4)
    CELLS = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))

    def __init__(self, anchors, strides, classes, imgsz):
        self.levels = [torch.tensor(a, dtype=torch.float32).view(-1, 2) / s
                       for a, s in zip(anchors, strides)]
        n = len(self.levels)
        self.box, self.score = 0.05 * 3 / n, 0.5 * classes / 80 * 3 / n
        self.object = 1.0 * (imgsz / 640) ** 2 * 3 / n
        self.classes = classes

    def match(self, boxes, anchors, w, h):
        """The rows of `boxes` that match, in cells, with the anchor and the cell of each."""
        n_anchors = len(anchors)
        scale = torch.tensor([1, 1, w, h, w, h], dtype=boxes.dtype)
        t = (boxes * scale).repeat(n_anchors, 1, 1)
        which = torch.arange(n_anchors).view(-1, 1).expand(n_anchors, len(boxes))
        ratio = t[:, :, 4:] / anchors[:, None]
        near = torch.maximum(ratio, 1 / ratio).amax(2) < 4
        t, which = t[near], which[near]
        xy = t[:, 2:4]
        mirrored = scale[2:4] - xy
        before = ((xy % 1 < 0.5) & (xy > 1)).T
        after = ((mirrored % 1 < 0.5) & (mirrored > 1)).T
        taken = torch.cat((torch.ones(1, len(t), dtype=torch.bool), before, after))
        shift = torch.tensor(self.CELLS, dtype=t.dtype)[:, None] * 0.5
        moved = (xy[None] - shift)[taken]
        t, which = t.repeat(5, 1, 1)[taken], which.repeat(5, 1)[taken]
        return t, which, moved.long()

    def __call__(self, predictions, boxes):
        parts = predictions[0].new_zeros(3)
        for y, anchors, balance in zip(predictions, self.levels, self.BALANCE):
            n, _, h, w, _ = y.shape
            t, which, cell = self.match(boxes, anchors, w, h)
            wanted = torch.zeros_like(y[..., 4])
            if len(t):
                place = (t[:, 0].long(), which, cell[:, 1].clamp(0, h - 1),
                         cell[:, 0].clamp(0, w - 1))
                rows = y[place]
                centre = rows[:, :2].sigmoid() * 2 - 0.5
                size = (rows[:, 2:4].sigmoid() * 2) ** 2 * anchors[which]
                iou = ciou(corners(centre, size), corners(t[:, 2:4] - cell, t[:, 4:]))
                target = functional.one_hot(t[:, 1].long(), self.classes).to(y.dtype)
                score = functional.binary_cross_entropy_with_logits(rows[:, 5:], target)
                wanted[place] = iou.detach().clamp(min=0)
                parts = parts + torch.stack((self.box * (1 - iou).mean(), parts.new_zeros(()),
                                             self.score * score))
            seen = functional.binary_cross_entropy_with_logits(y[..., 4], wanted) * balance
            parts = parts + torch.stack((parts.new_zeros(()), self.object * seen,
                                         parts.new_zeros(())))
        return parts.sum() * len(predictions[0])


class LossV8:
    """Boxes as distributions over distances, anchors assigned by how well they do."""

    BOX, SCORE, DISTRIBUTION = 7.5, 0.5, 1.5
    BEST, ALPHA, BETA, BINS = 10, 0.5, 6.0, 16

    def __init__(self, strides, classes, imgsz):
        self.strides, self.classes, self.imgsz = strides, classes, imgsz

    def cells(self, predictions):
        """Each anchor's centre in cells, and the pixels of a cell."""
        centres, sides = [], []
        for y, stride in zip(predictions, self.strides):
            h, w = y.shape[2:]
            v, u = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            centres.append(torch.stack((u, v), 2).view(-1, 2))
            sides.append(torch.full((h * w, 1), float(stride)))
        return torch.cat(centres).to(y.dtype), torch.cat(sides).to(y.dtype)

    def pad(self, boxes, n):
        """[N, most, 1 + 4]: class and corners in pixels; rows of zeros where there is no box."""
        of = [boxes[boxes[:, 0] == i] for i in range(n)]
        padded = boxes.new_zeros(n, max(max(len(b) for b in of), 1), 5)
        for i, b in enumerate(of):
            padded[i, : len(b), 0] = b[:, 1]
            padded[i, : len(b), 1:] = corners(b[:, 2:4], b[:, 4:]) * self.imgsz
        return padded

    @torch.no_grad()
    def assign(self, scores, predicted, centres, known):
        """What each anchor is to predict: corners in pixels, scores, and whether anything."""
        labels, boxes = known[..., 0].long(), known[..., 1:]
        n, most = labels.shape
        low = centres - boxes[:, :, None, :2]
        high = boxes[:, :, None, 2:] - centres
        valid = (boxes.sum(2) > 0)[..., None]
        inside = (torch.cat((low, high), 3).amin(3) > 1e-9) & valid
        places = inside.nonzero(as_tuple=True)
        overlap = scores.new_zeros(inside.shape)
        overlap[places] = ciou(boxes[places[0], places[1]], predicted[places[0], places[2]]).clamp(min=0)
        of_class = scores.transpose(1, 2)[torch.arange(n)[:, None], labels]
        align = torch.where(inside, of_class, 0) ** self.ALPHA * overlap**self.BETA
        best = align.topk(self.BEST, 2).indices
        chosen = torch.zeros_like(inside).scatter_(2, best, True) & inside
        claimed = chosen.sum(1)
        strongest = functional.one_hot(overlap.argmax(1), most).transpose(1, 2).bool()
        chosen = torch.where((claimed > 1)[:, None], strongest, chosen)
        found, which = chosen.any(1), chosen.int().argmax(1)
        align = align * chosen
        best_align = align.amax(2, keepdim=True)
        best_overlap = (overlap * chosen).amax(2, keepdim=True)
        weight = (align * best_overlap / (best_align + 1e-9)).amax(1)
        rows = torch.arange(n)[:, None]
        target = functional.one_hot(labels[rows, which], self.classes) * found[..., None]
        return boxes[rows, which], target * weight[..., None], found

    def distribution(self, bins, wanted):
        """Cross entropy with the two bins beside each wanted distance, by their nearness."""
        left = wanted.long()
        near = left + 1 - wanted
        log = bins.view(-1, 4, self.BINS).log_softmax(2)
        a = log.gather(2, left[..., None])[..., 0]
        b = log.gather(2, left[..., None] + 1)[..., 0]
        return -(a * near + b * (1 - near)).mean(1)

    def __call__(self, predictions, boxes):
        n = len(predictions[0])
        flat = torch.cat([y.flatten(2) for y in predictions], 2).transpose(1, 2)
        bins, scores = flat.split((4 * self.BINS, self.classes), 2)
        centres, sides = self.cells(predictions)
        steps = torch.arange(self.BINS, dtype=flat.dtype)
        distances = bins.reshape(n, -1, 4, self.BINS).softmax(3) @ steps
        predicted = torch.cat((centres - distances[..., :2], centres + distances[..., 2:]), 2)
        boxes_wanted, scores_wanted, found = self.assign(
            scores.detach().sigmoid(), predicted.detach() * sides, centres * sides, self.pad(boxes, n))
        total = scores_wanted.sum().clamp(min=1)
        score = functional.binary_cross_entropy_with_logits(scores, scores_wanted, reduction="sum")
        loss = self.SCORE * score / total
        if found.any():
            weight = scores_wanted.sum(2)[found]
            wanted = (boxes_wanted / sides)[found]
            overlap = ciou(predicted[found], wanted)
            centre = centres.expand(n, -1, -1)[found]
            sides_wanted = torch.cat((centre - wanted[:, :2], wanted[:, 2:] - centre), 1)
            far = self.distribution(bins[found], sides_wanted.clamp(0, self.BINS - 1 - 0.01))
            loss = loss + self.BOX * ((1 - overlap) * weight).sum() / total
            loss = loss + self.DISTRIBUTION * (far * weight).sum() / total
        return loss * n
