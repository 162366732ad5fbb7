#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a recording of tests/data/traces as torch.cuda.memory._dump_snapshot() would have: the same
keys, strings and stack frames shared as PyTorch shares them, Python's own pickle module.

    snapshot.py NAME OUT [--protocol P] [--frames N] [--gpu K] [--gpus N] [--also NAME K] [--state]
"""
import argparse
import csv
import json
import pickle

# As the C++ side has one str object a key.
KEYS = {k: k for k in ("action addr size stream time_us frames device_free address requested_size state blocks "
                       "device total_size allocated_size active_size segment_type segment_pool_id "
                       "is_expandable").split()}
STATES = {"active": "active_pending_free", "inactive": "inactive", "active_allocated": "active_allocated"}


class Frames:
    """Frames are shared between stacks, stacks between an event and the block that it left."""

    def __init__(self, depth):
        self.depth = depth
        self.frames = [{"name": f"function_{i}" * 9, "filename": f"/usr/lib/python3/package/file_{i}.py", "line": i}
                       for i in range(512)]
        self.empty = []
        self.by_address = {}

    def of(self, address, index):
        if self.depth == 0:
            return self.empty
        stack = self.by_address.get(address)
        if stack is None or index % 3 == 0:
            stack = [self.frames[(index * 7 + k * k) % 512] for k in range(self.depth)]
            self.by_address[address] = stack
        return stack


def read(name, gpu, frames):
    with open(name + ".segments.json", encoding="utf-8") as file:
        end = json.load(file)
    events = []
    with open(name + ".csv", encoding="utf-8") as file:
        for i, row in enumerate(csv.DictReader(file)):
            address = int(row["addr"])
            action = row["action"]
            event = {KEYS["action"]: action, KEYS["device_free" if action == "oom" else "addr"]: address,
                     KEYS["size"]: int(row["size"]), KEYS["stream"]: int(row["stream"]),
                     KEYS["time_us"]: 1700000000000000 + int(row["time_us"]), "compile_context": "N/A",
                     "user_metadata": "", "pool_id": (0, 0)}
            if frames.depth > 0:
                event[KEYS["frames"]] = frames.of(address, i)
            events.append(event)
    segments = []
    for segment in end["final_segments"]:
        blocks = []
        for address, size, requested, state in segment["blocks"]:
            blocks.append({KEYS["address"]: address, KEYS["size"]: size, KEYS["requested_size"]: requested,
                           KEYS["state"]: STATES.get(state, state), KEYS["frames"]: frames.of(address, 1)})
        taken = sum(b["size"] for b in blocks if b["state"] == "active_allocated")
        segments.append({KEYS["device"]: gpu, KEYS["address"]: segment["address"],
                         KEYS["total_size"]: segment["total_size"], KEYS["allocated_size"]: taken,
                         KEYS["active_size"]: taken, KEYS["requested_size"]: taken,
                         KEYS["stream"]: segment["stream"], KEYS["segment_type"]: segment["segment_type"],
                         KEYS["segment_pool_id"]: tuple(segment.get("segment_pool_id", (0, 0))),
                         KEYS["is_expandable"]: segment.get("is_expandable", False),
                         KEYS["frames"]: frames.empty, KEYS["blocks"]: blocks})
    return events, segments, end.get("allocator_settings", {})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("out")
    parser.add_argument("--protocol", type=int, default=4)
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--also", nargs=2, default=None)
    parser.add_argument("--state", action="store_true", help="segments alone, as without history")
    args = parser.parse_args()
    frames = Frames(args.frames)
    events, segments, settings = read(args.name, args.gpu, frames)
    traces = [[] for _ in range(args.gpus)]
    traces[args.gpu] = [] if args.state else events
    if args.also:
        more, others, _ = read(args.also[0], int(args.also[1]), frames)
        traces[int(args.also[1])] = more
        segments = [s for pair in zip(segments, others) for s in pair] + \
            segments[len(others):] + others[len(segments):]
    snapshot = {"segments": segments, "device_traces": traces, "allocator_settings": settings,
                "external_annotations": [{"stage": "epoch", "device": args.gpu, "time_us": 5}]}
    with open(args.out, "wb") as file:
        pickle.dump(snapshot, file, protocol=args.protocol)


main()
