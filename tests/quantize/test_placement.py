from __future__ import annotations

import pytest

from afformer.quantize.grid import Kind
from afformer.quantize.placement import TABLE, WHY_FLOAT, QuantFormat, Target


@pytest.mark.parametrize("target", Target)
def test_every_target_has_a_scheme_that_quantizes_convolutions(target: Target) -> None:
    assert "Conv" in TABLE[target].quantized


@pytest.mark.parametrize("target", Target)
def test_the_token_softmax_its_product_and_the_norms_are_never_quantized(target: Target) -> None:
    forbidden = {"Softmax", "MatMul", "LayerNormalization", "InstanceNormalization", "ReduceMean"}
    assert not TABLE[target].quantized & forbidden


def test_tensorrt_gets_what_its_parser_accepts() -> None:
    scheme = TABLE[Target.TENSORRT]
    assert (scheme.format, scheme.activations, scheme.symmetric) == (QuantFormat.QDQ, Kind.S8, True)


def test_x86_gets_unsigned_and_arm_signed_activations() -> None:
    assert TABLE[Target.X86].activations is Kind.U8
    assert TABLE[Target.ARM].activations is Kind.S8


def test_whatever_a_target_leaves_in_float_has_a_reason() -> None:
    everything = frozenset().union(*(scheme.quantized for scheme in TABLE.values()))
    assert everything - {"Conv"} <= WHY_FLOAT.keys()
