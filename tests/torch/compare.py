#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the cpu device's training steps to PyTorch: the same weights, images and boxes go through the
same layers and loss there, in double precision, and predictions, running statistics, the loss and every
parameter's gradient must agree. Exit status 1 if one is off, 77 where there is no PyTorch.
    compare.py TORCH_DUMP     runs the program of tests/torch/dump.c
    compare.py MODEL PREFIX   reads what it wrote before"""

import os
import subprocess
import sys
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""
try:
    import torch
except ImportError:
    print("no PyTorch here")
    sys.exit(77)

from layers import Model
from losses import LossV5, LossV8

LIMIT = 1e-3
STEPS = (("yolov5n", 2, 64, 4), ("yolov5n", 4, 128, 8), ("yolov8n", 2, 64, 4), ("yolov8n", 4, 128, 8))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def read(prefix):
    """Tensors by kind and name."""
    with open(prefix + ".bin", "rb") as file:
        data = bytearray(file.read())
    kinds = {}
    for line in open(prefix + ".txt", encoding="ascii"):
        name, _, shape, offset = line.split()
        shape = [] if shape == "-" else [int(d) for d in shape.split(",")]
        n = 1
        for d in shape:
            n *= d
        kind, name = name.split("/", 1)
        flat = torch.frombuffer(data, dtype=torch.float32, count=n, offset=int(offset))
        kinds.setdefault(kind, {})[name] = flat.view(shape).double()
    return kinds


def run(model_name, dump):
    """What PyTorch makes of a dump's inputs, by kind and name as the dump has it."""
    path = os.path.join(ROOT, "sweeps", "models", model_name + ".yaml")
    images, boxes = dump["input"]["images"], dump["input"]["boxes"]
    imgsz = images.shape[2]
    model = Model(path).double().train()
    named = dict(model.named_parameters())
    assert set(named) == set(dump["weight"]), set(named) ^ set(dump["weight"])
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(dump["weight"][name].view_as(parameter))
    predictions = model(images)
    strides = [imgsz // y.shape[2] for y in predictions]
    if model.anchors:
        loss = LossV5(model.anchors, strides, model.classes, imgsz)(predictions, boxes)
    else:
        loss = LossV8(strides, model.classes, imgsz)(predictions, boxes)
    loss.backward()
    return {
        "prediction": {str(i): y.detach() for i, y in enumerate(predictions)},
        "buffer": {n: b for n, b in model.named_buffers() if b.dtype.is_floating_point},
        "output": {"loss": loss.detach()},
        "gradient": {name: p.grad for name, p in named.items()},
    }


def difference(ours, theirs):
    """The largest, against the largest number there is; NaN counts as infinite."""
    apart = (ours.flatten() - theirs.flatten()).abs().max().item()
    largest = theirs.abs().max().item()
    return float("inf") if apart != apart else apart / max(largest, 1e-12)


def compare(title, model_name, dump):
    """Prints the worst of each kind; True where all agree."""
    agrees = True
    for kind, theirs in run(model_name, dump).items():
        ours = dump.get(kind, {})
        each = sorted((difference(ours[n], theirs[n]), n) for n in theirs if n in ours)
        missing = [n for n in theirs if n not in ours]
        worst, name = each[-1] if each else (float("inf"), "")
        print(f"| {title:<24} | {kind:<10} | {len(each):>7} | {worst:.1e} | {name} |")
        agrees = agrees and worst <= LIMIT and not missing
        if missing:
            print(f"{title}: the dump has no {kind} {missing[0]} and {len(missing) - 1} more")
    return agrees


def main():
    agrees = True
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    print("| step                     | what       | tensors |   worst | where |")
    print("| :----------------------- | :--------- | ------: | ------: | :---- |")
    if len(sys.argv) == 3:
        sys.exit(0 if compare(sys.argv[1], sys.argv[1], read(sys.argv[2])) else 1)
    with tempfile.TemporaryDirectory() as folder:
        for model, batch, imgsz, boxes in STEPS:
            prefix = os.path.join(folder, f"{model}-{batch}-{imgsz}")
            command = [sys.argv[1], model, str(batch), str(imgsz), str(boxes), prefix]
            subprocess.run(command, check=True, cwd=ROOT)
            agrees = compare(f"{model}, {batch} x {imgsz} px", model, read(prefix)) and agrees
    sys.exit(0 if agrees else 1)


main()
