# SPDX-License-Identifier: Apache-2.0
"""A training step of a YOLOv5 model in PyTorch on the CPU: bytes to numbers, forward, loss, backward,
clipping, SGD with Nesterov momentum, the average of the weights. Prints the median milliseconds of a
step, the process's peak resident MiB, those before the first step, and PyTorch's version.
    torch_step.py MODEL BATCH IMGSZ THREADS default|channels_last STEPS"""

import os
import resource
import statistics
import sys
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "torch"))

try:
    import torch
except ImportError:
    print("no PyTorch here", file=sys.stderr)
    sys.exit(77)

from layers import Model
from losses import LossV5

WARMUP, BOXES, DECAY, KEPT = 3, 8, 5e-4, 0.9999


def groups(model):
    """Convolutions' weights decay, the rest does not."""
    decays = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": decays, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]


def resident_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    name, batch, imgsz, threads, layout, steps = sys.argv[1:]
    batch, imgsz = int(batch), int(imgsz)
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    path = os.path.join(here, "..", "..", "sweeps", "models", name + ".yaml")
    model = Model(path).to(memory_format=form).train()
    loss_of = LossV5(model.anchors, (8, 16, 32), model.classes, imgsz)
    optimizer = torch.optim.SGD(groups(model), lr=1e-3, momentum=0.937, nesterov=True, fused=True)
    kept = [v for v in model.state_dict().values() if v.dtype.is_floating_point]
    average = [v.clone() for v in kept]
    pictures = torch.randint(0, 256, (batch, 3, imgsz, imgsz), dtype=torch.uint8)
    boxes = torch.rand(batch * BOXES, 6)
    boxes[:, 0] = torch.arange(batch).repeat_interleave(BOXES)
    boxes[:, 1] = (boxes[:, 1] * model.classes).floor()
    boxes[:, 2:4] = 0.1 + 0.8 * boxes[:, 2:4]
    boxes[:, 4:] = 0.05 + 0.45 * boxes[:, 4:]

    def step():
        images = pictures.float().div_(255).contiguous(memory_format=form)
        loss = loss_of(model(images), boxes)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(average, kept, 1 - KEPT)
        return loss.item()

    imported = resident_mib()
    times = []
    for i in range(WARMUP + int(steps)):
        start = time.perf_counter()
        step()
        if i >= WARMUP:
            times.append((time.perf_counter() - start) * 1e3)
    print(f"{statistics.median(times):.1f} {resident_mib():.0f} {imported:.0f} {torch.__version__}")


main()
