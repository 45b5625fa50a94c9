"""Operators that a network from a file may call: those of a list, which only compute."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from skhalfway._text import shown

# Names in torch.ops.aten; each is also allowed with a final "_", the in-place version. Left out on purpose:
# operators that access files, draw random numbers, return uninitialised memory, do not check indices, or
# make sparse tensors.
_HARMLESS = """
    abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d
    _adaptive_avg_pool3d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add
    addbmm addcdiv addcmul addmm addmv affine_grid_generator alias all alpha_dropout amax amin aminmax any
    arange argmax argmin argsort as_strided asin asinh _assert_async _assert_scalar atan atan2 atanh
    avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bilinear bitwise_and bitwise_not bitwise_or
    bitwise_xor bmm broadcast_to bucketize cat cdist ceil celu channel_shuffle chunk clamp clamp_max
    clamp_min clip clone col2im concat constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d conv_transpose3d convolution copy cos cosh cosine_similarity count_nonzero cross cummax
    cummin cumprod cumsum detach diag diag_embed diagonal diff div divide dot dropout einsum elu embedding
    eq erf erfc erfinv exp exp2 expand expand_as expm1 eye feature_dropout _fft_c2r fft_fft fft_fft2
    fft_ifft fft_ifft2 fft_irfft fft_irfft2 _fft_r2c fft_rfft fft_rfft2 fill flatten flip floor floor_divide
    fmax fmin fmod frac full full_like gather ge gelu glu greater greater_equal grid_sampler grid_sampler_2d
    grid_sampler_3d group_norm gru gt hardshrink hardsigmoid hardswish hardtanh hstack hypot im2col imag
    index index_add index_copy index_fill index_put index_select instance_norm isfinite isinf isnan kthvalue
    layer_norm le leaky_relu lerp less less_equal lift lift_fresh lift_fresh_copy linalg_cross linalg_norm
    linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid log_softmax _log_softmax logaddexp
    logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lstm lt
    masked_fill masked_scatter masked_select matmul max max_pool1d max_pool2d max_pool2d_with_indices
    max_pool3d max_pool3d_with_indices maximum mean median meshgrid min minimum mish mm moveaxis movedim mul
    multiply mv nan_to_num narrow native_batch_norm _native_batch_norm_legit_no_training native_group_norm
    native_layer_norm ne neg negative new_full new_ones new_zeros nonzero norm nuclear_norm numpy_T one_hot
    ones ones_like outer pad pairwise_distance permute pixel_shuffle pixel_unshuffle polar pow prelu prod
    quantile ravel real reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder
    repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape reshape_as
    resolve_conj resolve_neg rms_norm rnn_relu rnn_tanh roll rot90 round rsqrt rsub scalar_tensor
    scaled_dot_product_attention scatter scatter_add scatter_reduce searchsorted select select_scatter selu
    sigmoid sign signbit silu sin sinc sinh slice slice_scatter soft_margin_loss _softmax softmax softplus
    softshrink sort split split_with_sizes sqrt square squeeze stack std std_mean sub subtract sum swapaxes
    swapdims sym_constrain_range sym_constrain_range_for_size sym_numel sym_size sym_storage_offset
    sym_stride t tan tanh tanhshrink tensor_split threshold tile to _to_copy topk trace transpose tril triu
    trunc type_as unbind unflatten unfold _unsafe_view unsqueeze upsample_bicubic2d upsample_bilinear2d
    upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d var
    var_mean view view_as view_as_complex view_as_real vstack where xlogy zeros zeros_like
"""
_ATEN = frozenset(_HARMLESS.split())
_OPERATORS = ["add", "sub", "mul", "floordiv", "mod", "truediv", "pow", "neg", "pos"]
_OPERATORS += ["eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_", "getitem"]
# operators on sizes, which are Python numbers here; bools are combined logically
_PYTHON: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in _OPERATORS},
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc", "sqrt")},
    "torch.sym_float": float,
    "torch.sym_int": int,
    "torch.sym_not": operator.not_,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "builtins.max": max,
    "builtins.min": min,
}
# functions by whose names a final sigmoid or softmax is recognised, so that the logits before it are attacked
_AS_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "softmax.int": torch.softmax,
    "sigmoid.default": torch.sigmoid,
    "squeeze.default": torch.squeeze,
    "squeeze.dim": torch.squeeze,
    "unsqueeze.default": torch.unsqueeze,
    "flatten.using_ints": torch.flatten,
    "reshape.default": torch.reshape,
    "view.default": torch.Tensor.view,
    "select.int": torch.select,
    "rsub.Scalar": torch.rsub,
}
_NAME = re.compile(r"torch\.ops\.aten\.([a-z0-9_A-Z]+)\.([A-Za-z0-9_]+)")


@cache
def operator_of(target: str) -> Callable[..., Any]:
    """The function that a target names; ValueError if it is not on the list."""
    if target in _PYTHON:
        return _PYTHON[target]
    named = _NAME.fullmatch(target)
    if named is None or not {named[1], named[1].removesuffix("_")} & _ATEN or "out" in named[2].split("_"):
        raise ValueError(
            f"it calls the operator {shown(target)}, which is not on the list of harmless operators; export "
            "the network without it, or pass the network in Python"
        )
    name, overload = named[1], named[2]
    if f"{name}.{overload}" in _AS_FUNCTIONS:
        return _AS_FUNCTIONS[f"{name}.{overload}"]
    function: Callable[..., Any] | None = getattr(getattr(torch.ops.aten, name, None), overload, None)
    if not isinstance(function, torch._ops.OpOverload):
        raise ValueError(
            f"it calls the operator {shown(target)}, which torch {torch.__version__} does not have"
        )
    return function
