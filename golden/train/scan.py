# SPDX-License-Identifier: Apache-2.0
"""The recurrence of a whole window at once: in one kernel on a GPU, in log2(T) steps elsewhere."""

import torch

try:
    import triton
    from triton import language as tl
except ImportError:  # the CPU builds of torch come without
    triton = None

LONGEST = 512
"""Most tokens that a kernel holds at once."""
_CHANNELS = 8


def scan(f: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Return h [B, T, d] with `h_t = f_t * h_(t-1) + u_t` and h_(-1) = 0; f, u float32 [B, T, d]."""
    if triton is not None and u.is_cuda and u.shape[1] <= LONGEST:
        h: torch.Tensor = _fused(f, u)
        return h
    span = 1
    while span < u.shape[1]:
        u = torch.cat((u[:, :span], u[:, span:] + f[:, span:] * u[:, :-span]), 1)
        f = torch.cat((f[:, :span], f[:, span:] * f[:, :-span]), 1)
        span *= 2
    return u


if triton is not None:

    @triton.jit
    def _join(f_a, u_a, f_b, u_b):  # type: ignore[no-untyped-def] # Triton reads annotations as types of its own
        return f_a * f_b, f_b * u_a + u_b

    @triton.jit  # type: ignore[untyped-decorator] # Triton has no types
    def _kernel(f, u, h, length, size, rows: tl.constexpr, channels: tl.constexpr):  # type: ignore[no-untyped-def] # as above
        row, channel = tl.arange(0, rows)[:, None], tl.program_id(1) * channels + tl.arange(0, channels)[None, :]
        at = tl.program_id(0) * length * size + row * size + channel
        there = (row < length) & (channel < size)
        _, out = tl.associative_scan((tl.load(f + at, there, 1.0), tl.load(u + at, there, 0.0)), 0, _join)
        tl.store(h + at, out, there)

    @torch.library.custom_op("tritforge::scan", mutates_args=())
    def _fused(f: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        f, u = f.contiguous(), u.contiguous()
        h = torch.empty_like(u)
        batch, length, size = u.shape
        grid = batch, triton.cdiv(size, _CHANNELS)
        _kernel[grid](f, u, h, length, size, triton.next_power_of_2(length), _CHANNELS)
        return h

    @_fused.register_fake
    def _(f: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(u, memory_format=torch.contiguous_format)
