"""The part of Triton that the kernels use, in NumPy: one program after another, every address checked.

With it the kernels' own source runs wherever the tests run; on a GPU tests/test_prdl_triton.py runs them compiled.
"""

import contextlib
import itertools
import sys
import types

import numpy as np
import torch

MODULES = ("facefit.energies.prdl.triton", "facefit.energies.prdl.farthest_triton")


class Value(np.ndarray):
    """An array or a scalar of a kernel."""

    def to(self, kind):
        return self.astype(kind)

    # a scalar stays one of these, or it would lose `to`
    def __array_wrap__(self, array, context=None, return_scalar=False):
        return np.asarray(array).view(Value)


def value(array) -> Value:
    return np.asarray(array).view(Value)


class Pointer:
    def __init__(self, memory: np.ndarray, offset=0):
        self.memory, self.offset = memory, np.asarray(offset)

    def __add__(self, more):
        return Pointer(self.memory, self.offset + np.asarray(more))

    def places(self, mask, shape=()):
        at, used = np.asarray(self.offset), np.asarray(True if mask is None else mask)
        if not at.shape == used.shape == (shape or at.shape):  # NumPy takes its time to find out that they are
            shape = np.broadcast_shapes(at.shape, used.shape, shape)
            at, used = np.broadcast_to(at, shape), np.broadcast_to(used, shape)
        at = at[used]
        assert not at.size or (at.min() >= 0 and at.max() < len(self.memory)), "an address outside the tensor"
        return used.shape, used, at


def load(pointer, mask=None, other=0):
    shape, used, at = pointer.places(mask)
    out = np.full(shape, other, pointer.memory.dtype)
    out[used] = pointer.memory[at]
    return value(out)


def store(pointer, new, mask=None):
    shape, used, at = pointer.places(mask, np.shape(new))
    assert len(np.unique(at)) == len(at), "two lanes write to one place"
    pointer.memory[at] = np.broadcast_to(new, shape)[used]


def atomic_add(pointer, new, mask=None):
    shape, used, at = pointer.places(mask, np.shape(new))
    np.add.at(pointer.memory, at, np.broadcast_to(new, shape)[used])


def extreme(reduce, where):
    def call(array, axis, return_indices=False):
        if return_indices:
            return value(reduce(array, axis=axis)), value(where(array, axis=axis).astype(np.int32))
        return value(reduce(array, axis=axis))

    return call


class Kernel:
    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments, **named):  # from another kernel
        return self.function(*arguments, **named)

    def __getitem__(self, grid):
        def launch(*arguments, num_warps=4, **named):
            def given(x):
                if not isinstance(x, torch.Tensor):
                    return x
                assert x.is_contiguous()
                return Pointer(x.detach().numpy().reshape(-1))

            for program in itertools.product(*(range(int(side)) for side in grid)):
                language.program, language.grid = program, grid
                self.function(*map(given, arguments), **named)

        return launch


def constant_like(x, other):
    """A Python number takes the type of the array beside it, as in Triton."""
    return other if isinstance(other, np.ndarray) or not isinstance(x, np.ndarray) else x.dtype.type(other)


language = types.ModuleType("triton.language")
language.constexpr = object
language.float32, language.int32, language.int64 = np.float32, np.int32, np.int64
language.program_id = lambda axis: value(np.int32(language.program[axis]))
language.num_programs = lambda axis: value(np.int32(language.grid[axis]))
language.arange = lambda first, last: value(np.arange(first, last, dtype=np.int32))
language.zeros = lambda shape, kind: value(np.zeros(shape, kind))
language.full = lambda shape, number, kind: value(np.full(shape, number, kind))
language.load, language.store, language.atomic_add = load, store, atomic_add
language.where = lambda c, a, b: value(np.where(c, constant_like(b, a), constant_like(a, b)))
language.minimum = lambda a, b: value(np.minimum(a, b))
language.maximum = lambda a, b: value(np.maximum(a, b))
language.abs, language.sqrt = lambda a: value(np.abs(a)), lambda a: value(np.sqrt(a))
language.sum = lambda a, axis: value(np.sum(a, axis=axis, dtype=a.dtype))
language.min, language.max = extreme(np.min, np.argmin), extreme(np.max, np.argmax)
language.debug_barrier = lambda: None


@contextlib.contextmanager
def stand_in():
    """Inside, the kernels are imported on NumPy."""
    triton = types.ModuleType("triton")
    triton.jit, triton.cdiv, triton.language = Kernel, lambda a, b: -(-a // b), language
    before = {name: sys.modules.pop(name, None) for name in (*MODULES, "triton", "triton.language")}
    sys.modules["triton"], sys.modules["triton.language"] = triton, language
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
