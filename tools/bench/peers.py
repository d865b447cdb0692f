#!/usr/bin/env python3
"""Times the GPU part beside PyTorch's attention and flash-linear-attention, at the same shapes and on the same
tensors.

Before anything is timed, each side is compared with a float64 evaluation at a small shape. Times are medians of CUDA
events, all sides of one shape taking turns, beside the rates of a copy and of a large matrix product in the same run.
Each side is timed twice: as it is called, which for a peer of several small launches contains the waiting for them,
and as a replayed graph, which is what the device alone takes. A side runs at the clock that the side before it left,
so a difference of a few percent between two sides is not a result. Our side is told to trust the values of log_decay,
as its peers do: looking at them would wait for the device, which a graph cannot hold. etalon_gpu_check times the look.

    peers.py LIBRARY OUTPUT.json
"""

import ctypes
import json
import sys

import torch
import torch.nn.functional as functional
from torch.nn.attention import SDPBackend, sdpa_kernel

REPETITIONS = 30
TOKENS = 16384


# The C ABI, fast/etalon_fast.h ---------------------------------------------------------------------------------------


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("type", ctypes.c_int32),
        ("shape", ctypes.c_int64 * 4),
        ("stride", ctypes.c_int64 * 4),
    ]


class Execution(ctypes.Structure):
    _fields_ = [
        ("threads", ctypes.c_int),
        ("stream", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("workspace_bytes", ctypes.c_int64),
        ("trust_values", ctypes.c_bool),
    ]


class Mask(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int32),
        ("before", ctypes.c_int64),
        ("after", ctypes.c_int64),
        ("block", ctypes.c_int64),
        ("block_rows", ctypes.c_int64),
        ("block_columns", ctypes.c_int64),
        ("blocks", ctypes.c_void_p),
    ]


class Attention(ctypes.Structure):
    _fields_ = [(name, Tensor) for name in ("q", "k", "v", "o", "log_sum", "bias")] + [
        ("scale", ctypes.c_float),
        ("mask", Mask),
    ]


class DecayOuterProduct(ctypes.Structure):
    _fields_ = [(name, Tensor) for name in ("q", "k", "v", "o", "log_decay", "initial_state", "final_state")] + [
        ("scale", ctypes.c_float),
        ("chunk", ctypes.c_int64),
    ]


TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}


def view(x):
    """A tensor [batch, time, head, dim] for the library; None is a tensor that is not given."""
    if x is None:
        return Tensor()
    return Tensor(x.data_ptr(), TYPES[x.dtype], (ctypes.c_int64 * 4)(*x.shape), (ctypes.c_int64 * 4)(*x.stride()))


class Etalon:
    """Calls of the library, prepared once so that only the call itself is timed."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.etalon_fast_last_error.restype = ctypes.c_char_p

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.etalon_fast_last_error().decode())

    def attention(self, q, k, v, causal, scale):
        o = torch.empty_like(q)
        call = Attention(q=view(q), k=view(k), v=view(v), o=view(o), scale=scale, mask=Mask(kind=int(causal)))
        execution = Execution(threads=1)

        def run():
            execution.stream = torch.cuda.current_stream().cuda_stream
            self.check(self.library.etalon_fast_cuda_attention(ctypes.byref(call), ctypes.byref(execution)))
            return o

        return run

    def decay_outer_product(self, q, k, v, log_decay, scale):
        o = torch.empty_like(v)
        call = DecayOuterProduct(q=view(q), k=view(k), v=view(v), o=view(o), log_decay=view(log_decay), scale=scale)
        size = ctypes.c_int64()
        self.check(
            self.library.etalon_fast_cuda_decay_outer_product_workspace(ctypes.byref(call), ctypes.byref(size))
        )
        workspace = torch.empty(max(size.value, 1), dtype=torch.uint8, device="cuda")
        execution = Execution(
            threads=1, workspace=workspace.data_ptr(), workspace_bytes=size.value, trust_values=True
        )

        def run():
            execution.stream = torch.cuda.current_stream().cuda_stream
            self.check(
                self.library.etalon_fast_cuda_decay_outer_product(ctypes.byref(call), ctypes.byref(execution))
            )
            return o

        run.keeps = workspace
        return run


# Peers ---------------------------------------------------------------------------------------------------------------


def torch_attention(q, k, v, causal, scale, backend):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))

    def run():
        with sdpa_kernel(backend):
            return functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale).transpose(1, 2)

    return run


def fla_peers(q, k, v, log_decay, scale):
    """The functions of flash-linear-attention that compute the same; log_decay as the library takes it."""
    from fla.ops.gla import chunk_gla
    from fla.ops.simple_gla import chunk_simple_gla

    if log_decay is None:
        from fla.ops.linear_attn import chunk_linear_attn

        return {"chunk_linear_attn": lambda: chunk_linear_attn(q, k, v, scale=scale, normalize=False)[0]}
    if log_decay.shape[1] == 1:  # its decays are those of draw_log_decay
        from fla.ops.retention import chunk_retention

        return {"chunk_retention": lambda: chunk_retention(q, k, v, scale=scale)[0]}
    if log_decay.shape[3] == 1:
        g = log_decay.reshape(log_decay.shape[:3])
        return {"chunk_simple_gla": lambda: chunk_simple_gla(q, k, v, g=g, scale=scale)[0]}
    return {"chunk_gla": lambda: chunk_gla(q, k, v, log_decay, scale=scale)[0]}


# The float64 side ----------------------------------------------------------------------------------------------------


def exact_attention(q, k, v, causal, scale):
    q, k, v = (x.double().transpose(1, 2) for x in (q, k, v))
    scores = scale * q @ k.transpose(-1, -2)
    if causal:
        scores += torch.full_like(scores, float("-inf")).triu(1)
    return (scores.softmax(-1) @ v).transpose(1, 2)


def exact_decay_outer_product(q, k, v, log_decay, scale):
    q, k, v = (x.double() for x in (q, k, v))
    none = torch.zeros(1, 1, 1, 1, device="cuda")
    decay = (none if log_decay is None else log_decay).double().exp()
    decay = decay.expand(*q.shape[:3], decay.shape[3])
    state = torch.zeros(*q.shape[:1], *q.shape[2:], v.shape[3], dtype=torch.float64, device="cuda")
    out = torch.empty_like(v)
    for t in range(q.shape[1]):
        state = decay[:, t, :, :, None] * state + k[:, t, :, :, None] * v[:, t, :, None, :]
        out[:, t] = scale * (q[:, t, :, None, :] @ state)[:, :, 0]
    return out


# Times ---------------------------------------------------------------------------------------------------------------


def medians(runs):
    """Median seconds of each function, all of them taking turns."""
    times = {name: [] for name in runs}
    for repetition in range(REPETITIONS + 5):
        for name, run in runs.items():
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            run()
            end.record()
            if repetition >= 5:
                times[name].append((begin, end))
    torch.cuda.synchronize()
    milliseconds = {name: sorted(b.elapsed_time(e) for b, e in events) for name, events in times.items()}
    return {name: values[REPETITIONS // 2] * 1e-3 for name, values in milliseconds.items()}


def graphs_of(runs):
    """The functions as replays of graphs, where they can be captured."""
    graphs = {}
    for name, run in runs.items():
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                run()
            graphs[name] = graph.replay
        except Exception as error:
            print(f"{name}: no graph: {error}")
    return graphs


def yardsticks():
    source = torch.randint(0, 255, (2 << 30,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = 2 * source.numel() / medians({"copy": lambda: target.copy_(source)})["copy"]
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    matrix = 2 * 8192**3 / medians({"product": lambda: a @ b})["product"]
    return {"copy_bytes_per_second": copy, "bfloat16_product_operations_per_second": matrix}


def draw(batch, time, heads, dim):
    return (torch.randn(batch, time, heads, dim, device="cuda").to(torch.bfloat16) for _ in range(3))


def draw_log_decay(kind, batch, time, heads, dim):
    if kind == "none":
        return None
    if kind == "constant":  # of a retention network
        return (1 - 2.0 ** (-5.0 - torch.arange(heads, device="cuda"))).log().reshape(1, 1, heads, 1)
    shape = {"token": (batch, time, heads, 1), "channel": (batch, time, heads, dim)}[kind]
    return -0.1 * torch.rand(shape, device="cuda")


def compare(runs, exact):
    """Relative errors of all sides, for the table. No verdict: ours is held to derived budgets by etalon_gpu_check."""
    errors = {}
    for side, run in runs.items():
        out = run().double()
        errors[side] = ((out - exact).norm() / exact.norm()).item()
    return errors


def attempt(maker):
    """The functions of `maker` that run at all, and what was wrong with the others."""
    working, broken = {}, {}
    for name, make in maker.items():
        try:
            run = make()
            run()
            torch.cuda.synchronize()
            working[name] = run
        except Exception as error:  # a peer that is missing or does not support a shape is a finding, not a failure
            broken[name] = f"{type(error).__name__}: {error}"[:300]
    return working, broken


def attention_sides(etalon, q, k, v, causal, scale):
    backends = {
        "torch flash": SDPBackend.FLASH_ATTENTION,
        "torch cuDNN": SDPBackend.CUDNN_ATTENTION,
        "torch efficient": SDPBackend.EFFICIENT_ATTENTION,
    }
    sides = {"etalon": lambda: etalon.attention(q, k, v, causal, scale)}
    for name, backend in backends.items():
        sides[name] = lambda backend=backend: torch_attention(q, k, v, causal, scale, backend)
    return sides


def decay_sides(etalon, q, k, v, log_decay, scale):
    sides = {"etalon": lambda: etalon.decay_outer_product(q, k, v, log_decay, scale)}
    try:
        peers = fla_peers(q, k, v, log_decay, scale)
    except Exception as error:
        print(f"flash-linear-attention: {error}")
        peers = {}
    for name, run in peers.items():
        sides[name] = lambda run=run: run
    return sides


def main():
    library, output = sys.argv[1:]
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    etalon = Etalon(library)
    rates = yardsticks()
    print(f"copy {rates['copy_bytes_per_second'] * 1e-12:.2f} TB/s, "
          f"bfloat16 product {rates['bfloat16_product_operations_per_second'] * 1e-12:.0f} TFLOP/s")
    result = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, **rates, "shapes": []}

    shapes = [("attention", causal, dim) for dim in (128, 64) for causal in ("causal", "full")]
    shapes += [("decay_outer_product", kind, 128) for kind in ("none", "constant", "token", "channel")]
    for core, kind, dim in shapes:
        name = f"{core} {kind} d={dim}"
        scale = dim**-0.5
        record = {"core": core, "kind": kind, "head_dimension": dim, "tokens": TOKENS}
        for time, heads in ((512, 2), (TOKENS, 32 if core == "attention" else 16)):
            q, k, v = draw(1, time, heads, dim)
            if core == "attention":
                sides = attention_sides(etalon, q, k, v, kind == "causal", scale)
                exact = (lambda: exact_attention(q, k, v, kind == "causal", scale))
                work = 4 * time**2 * dim * heads * (0.5 if kind == "causal" else 1.0)
                ceiling, unit = rates["bfloat16_product_operations_per_second"], "of product"
            else:
                log_decay = draw_log_decay(kind, 1, time, heads, dim)
                sides = decay_sides(etalon, q, k, v, log_decay, scale)
                exact = (lambda: exact_decay_outer_product(q, k, v, log_decay, scale))
                work = 8 * q.numel() + (0 if log_decay is None else 4 * log_decay.numel())
                ceiling, unit = rates["copy_bytes_per_second"], "of copy"
            runs, broken = attempt(sides)
            if time != TOKENS:
                record["relative_errors"] = compare(runs, exact())
                continue
            record["heads"], record["broken"] = heads, broken
            record["seconds"], record["graph_seconds"] = medians(runs), medians(graphs_of(runs))
        called, alone = record["seconds"], record["graph_seconds"]
        nothing = float("nan")
        record["ratios"] = {side: seconds / called.get("etalon", nothing) for side, seconds in called.items()}
        record["graph_ratios"] = {side: seconds / alone.get("etalon", nothing) for side, seconds in alone.items()}
        record["graph_fractions"] = {side: work / seconds / ceiling for side, seconds in alone.items()}
        result["shapes"].append(record)
        for side in called:
            print(f"{name:32s} {side:18s} called {called[side] * 1e3:8.4f} ms {record['ratios'][side]:5.2f} x   "
                  f"alone {alone.get(side, nothing) * 1e3:8.4f} ms {record['graph_ratios'].get(side, nothing):5.2f} x  "
                  f"{100 * record['graph_fractions'].get(side, nothing):5.1f} % {unit}   "
                  f"error {record['relative_errors'].get(side, nothing):.1e}")
        for side, why in broken.items():
            print(f"{name:32s} {side:18s} {why}")
        with open(output, "w", encoding="utf-8") as file:  # after each shape, in case a later one takes too long
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
