"""The two rates that floors are made of, beside what this card does."""

import pytest
import torch
from bench.report import record
from gpu import marks
from gpu.floors import BANDWIDTH, RATE
from gpu.test_speed import ASKED


def test_what_the_card_can_do():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is here")
    marks.wait(*ASKED)
    product, copy = _rates()
    torch.cuda.empty_cache()
    row = {"TFLOP/s, bfloat16 product": product / 1e12, "TB/s, copy": copy / 1e12}
    record("The card", [row | {"floors take": f"{RATE / 1e12:.0f} and {BANDWIDTH / 1e12}"}])


def _rates():
    """Operations a second of a matrix product, bytes a second that a copy reads and writes."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(2**32, device="cuda", dtype=torch.uint8)
    sink = torch.empty_like(source)
    product, copy = _seconds(lambda: a @ b), _seconds(lambda: sink.copy_(source))
    return 2 * 8192**3 / product, 2 * len(source) / copy


def _seconds(work, times=20):
    for _ in range(3):
        work()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(times):
        work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3 / times
