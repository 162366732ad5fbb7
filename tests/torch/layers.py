# SPDX-License-Identifier: Apache-2.0
"""The models of sweeps/models/ as PyTorch modules, for comparison. Parameters go by the names that
vrambench gives them, so that a dump's weights can be loaded by name."""

import ast
import math
import re

import torch
from torch import nn
from torch.nn import functional

EPSILON, MOMENTUM, BINS = 1e-3, 0.03, 16


class Conv(nn.Module):
    def __init__(self, c, k, kernel=1, stride=1, padding=None):
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(c, k, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(k, eps=EPSILON, momentum=MOMENTUM)

    def forward(self, x):
        return functional.silu(self.bn(self.conv(x)), inplace=True)


class Bottleneck(nn.Module):
    def __init__(self, channels, first_kernel, adds):
        super().__init__()
        self.cv1 = Conv(channels, channels, first_kernel)
        self.cv2 = Conv(channels, channels, 3)
        self.adds = adds

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.adds else y


class C3(nn.Module):
    def __init__(self, c, k, n, adds):
        super().__init__()
        half = k // 2
        self.cv1, self.cv2 = Conv(c, half), Conv(c, half)
        self.cv3 = Conv(2 * half, k)
        self.m = nn.Sequential(*(Bottleneck(half, 1, adds) for _ in range(n)))

    def forward(self, x):
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class C2f(nn.Module):
    def __init__(self, c, k, n, adds):
        super().__init__()
        half = k // 2
        self.cv1, self.cv2 = Conv(c, 2 * half), Conv((2 + n) * half, k)
        self.m = nn.ModuleList(Bottleneck(half, 3, adds) for _ in range(n))

    def forward(self, x):
        pieces = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            pieces.append(block(pieces[-1]))
        return self.cv2(torch.cat(pieces, 1))


class SPPF(nn.Module):
    def __init__(self, c, k, kernel):
        super().__init__()
        self.cv1, self.cv2 = Conv(c, c // 2), Conv(c // 2 * 4, k)
        self.pool = nn.MaxPool2d(kernel, 1, kernel // 2)

    def forward(self, x):
        pieces = [self.cv1(x)]
        for _ in range(3):
            pieces.append(self.pool(pieces[-1]))
        return self.cv2(torch.cat(pieces, 1))


class DetectV5(nn.Module):
    """A convolution a level, its output as [N, anchors, H, W, 5 + classes]."""

    def __init__(self, channels, classes, anchors):
        super().__init__()
        self.values, self.anchors = classes + 5, len(anchors[0]) // 2
        self.m = nn.ModuleList(nn.Conv2d(c, self.values * self.anchors, 1) for c in channels)

    def forward(self, xs):
        ys = []
        for conv, x in zip(self.m, xs):
            n, _, h, w = x.shape
            y = conv(x).view(n, self.anchors, self.values, h, w)
            ys.append(y.permute(0, 1, 3, 4, 2).contiguous())
        return ys


class DetectV8(nn.Module):
    """Two branches a level side by side: [N, 4 * bins + classes, H, W]."""

    def __init__(self, channels, classes):
        super().__init__()
        box = max(16, channels[0] // 4, 4 * BINS)
        score = max(channels[0], min(classes, 100))
        self.cv2 = nn.ModuleList(self.branch(c, box, 4 * BINS) for c in channels)
        self.cv3 = nn.ModuleList(self.branch(c, score, classes) for c in channels)

    @staticmethod
    def branch(c, hidden, k):
        return nn.Sequential(Conv(c, hidden, 3), Conv(hidden, hidden, 3), nn.Conv2d(hidden, k, 1))

    def forward(self, xs):
        return [torch.cat((a(x), b(x)), 1) for a, b, x in zip(self.cv2, self.cv3, xs)]


def read_description(path):
    """The YAML that sweeps/models/ uses: numbers, and lists of rows in brackets."""
    description, section = {}, None
    for line in open(path, encoding="utf-8"):
        line = line.split("#")[0].rstrip()
        if line.lstrip().startswith("- "):
            row = re.sub(r"(?<![\w.'])([A-Za-z][\w.]*)", r"'\1'", line.lstrip()[2:])
            description[section].append(ast.literal_eval(row))
        elif line.endswith(":"):
            section = line[:-1]
            description[section] = []
        elif line:
            key, value = line.split(":")
            description[key] = float(value)
    return description


class Model(nn.Module):
    def __init__(self, path, classes=None):
        super().__init__()
        d = read_description(path)
        self.classes = classes or int(d["nc"])
        self.anchors = d.get("anchors")
        self.width, self.depth = d["width_multiple"], d["depth_multiple"]
        self.limit = d.get("max_channels", math.inf)
        self.rows = d["backbone"] + d["head"]
        self.model, channels = nn.ModuleList(), [3]
        for row in self.rows:
            layer, c = self.layer(row, channels)
            self.model.append(layer)
            channels = ([] if len(self.model) == 1 else channels) + [c]
        self.kept = {i for row in self.rows for i in self.sources(row) if i >= 0}

    @staticmethod
    def sources(row):
        return row[0] if isinstance(row[0], list) else [row[0]]

    def scaled(self, channels):
        return math.ceil(min(channels, self.limit) * self.width / 8) * 8

    def layer(self, row, channels):
        """The module of a row, and how many channels it gives."""
        _, repeats, kind, args = row
        c = [channels[i] for i in self.sources(row)]
        n = max(round(repeats * self.depth), 1) if repeats > 1 else repeats
        if kind == "Conv":
            return Conv(c[0], self.scaled(args[0]), *args[1:]), self.scaled(args[0])
        if kind in ("C3", "C2f"):
            adds = args[1] != "False" if len(args) > 1 else kind == "C3"
            k = self.scaled(args[0])
            return {"C3": C3, "C2f": C2f}[kind](c[0], k, n, adds), k
        if kind == "SPPF":
            return SPPF(c[0], self.scaled(args[0]), args[1]), self.scaled(args[0])
        if kind == "nn.Upsample":
            return nn.Upsample(scale_factor=2, mode="nearest"), c[0]
        if kind == "Concat":
            return nn.Identity(), sum(c)
        if kind == "Detect":
            head = DetectV5(c, self.classes, self.anchors) if self.anchors else DetectV8(c, self.classes)
            return head, 0
        raise ValueError(f"no module for {kind}")

    def forward(self, x):
        kept = {}
        for i, (row, layer) in enumerate(zip(self.rows, self.model)):
            xs = [x if s == -1 else kept[s] for s in self.sources(row)]
            if row[2] == "Concat":
                x = torch.cat(xs, 1)
            else:
                x = layer(xs if row[2] == "Detect" else xs[0])
            if i in self.kept:
                kept[i] = x
        return x
