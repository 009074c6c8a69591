"""`Server-Timing`: what a browser's network panel, and our page, show of a request's stages."""

from __future__ import annotations

from afformer.serve.jobs import Timing


def server_timing(timing: Timing, *, decode_ns: int | None = None, encode_ns: int | None = None) -> str:
    """The header's value, in milliseconds, in order of the stages."""
    stages = {
        "decode": decode_ns,
        "queue": timing.queue,
        "input": timing.input,
        "infer": timing.infer,
        "output": timing.output,
        "encode": encode_ns,
    }
    return ", ".join(f"{name};dur={ns / 1e6:.2f}" for name, ns in stages.items() if ns is not None)
