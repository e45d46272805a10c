"""LSTM and GRU in NumPy, forwards and backwards through all time steps, for some rows of a batch.

The inputs of all time steps are multiplied at once, the gates of a step are one array, and the gradients of
the weights are products over all time steps: a step has as few operations, and as large ones, as it can.
"""

from __future__ import annotations

import ctypes
import platform
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Rows:
    """Some rows of a batch, on their way through all time steps and back.

    Arrays are in the order of time: `z` [time, rows, gates * units] holds the activations of the gates,
    and after the way back the gradients of what goes into them; `e`, in the same way, what the recurrent
    product adds to it; `states` [time + 1, rows, units] what is handed on, the output first.
    """

    scale: ClassVar[tuple[float, ...]]  # of a gate: a sigmoid is tanh(x / 2) / 2 + 1 / 2
    states: list[Array]
    z: Array
    e: Array

    def __init__(self) -> None:
        self._buffers: dict[str, Array] = {}

    def take(
        self,
        x: Array,
        weights: tuple[Array, ...],
        dropped: Array | None,
        recurrent_dropped: Array | None,
        padding: Array | None,
    ) -> None:
        """Take inputs [rows, time, n], weights as Keras has them, and masks, of which each may be None."""
        self.x, (self.kernel, self.recurrent_kernel, self.bias) = x, weights
        self.dropped, self.recurrent_dropped, self.kept_steps = dropped, recurrent_dropped, padding
        self.gates, (self.rows, self.time), self.units = len(self.scale), x.shape[:2], len(weights[1])

    def forwards(self, sequences: bool) -> Array:
        """Return the outputs of all time steps, [rows, time, units], or those of the last one."""
        scale = np.repeat(np.array(self.scale, dtype=np.float32), self.units)
        self.z = self._array("z", self.time, self.rows, len(scale))
        kernel = self.kernel * scale
        for row, x in enumerate(self.x):
            np.matmul(x, _masked(kernel, self.dropped, row), out=self.z[:, row])
        self._use_recurrent(self.recurrent_kernel * scale)
        self._start(self.bias * scale)
        for state in self.states:
            state[0] = 0
        for time in range(self.time):
            skipped = self._skipped(time)
            if skipped is not True:
                self._step(time)
            if skipped is not None:
                for state in self.states:
                    np.copyto(state[time + 1], state[time], where=skipped)
        output = self.states[0]
        return output[1:].transpose(1, 0, 2) if sequences else output[-1]

    def backwards(self, gradient: Array, sequences: bool, inputs: Array) -> tuple[Array, ...]:
        """Return the gradients of kernel, recurrent kernel and bias, given that of the outputs.

        That of the inputs is written to an array.
        """
        self._use_recurrent(self.recurrent_kernel)
        carried = [np.zeros((self.rows, self.units), dtype=np.float32) for _ in self.states]
        if not sequences:
            carried[0] += gradient
        for time in range(self.time - 1, -1, -1):
            if sequences:
                carried[0] += gradient[:, time]
            skipped = self._skipped(time)
            before = [] if skipped is None else [one.copy() for one in carried]
            if skipped is not True:
                self._step_back(time, *carried)
            if skipped is not None:
                for one, old in zip(carried, before, strict=True):
                    np.copyto(one, old, where=skipped)
                np.copyto(self.z[time], 0, where=skipped)
                np.copyto(self.e[time], 0, where=skipped)
        return self._gradients(inputs)

    def _gradients(self, inputs: Array) -> tuple[Array, ...]:
        """Multiply the gradients of what goes into the gates by what it was computed from."""
        kernel, recurrent, bias = (
            np.zeros(like.shape, np.float32) for like in (self.kernel, self.recurrent_kernel, self.bias)
        )
        for row in range(self.rows):
            z, e = self.z[:, row], self.e[:, row]
            np.matmul(z, _masked(self.kernel, self.dropped, row).T, out=inputs[row])
            kernel += _masked(self.x[row].T @ z, self.dropped, row)
            recurrent += _masked(self.states[0][:-1, row].T @ e, self.recurrent_dropped, row)
            bias += z.sum(axis=0) if bias.ndim == 1 else (z.sum(axis=0), e.sum(axis=0))
        return kernel, recurrent, bias

    def _start(self, bias: Array) -> None:
        """Make the arrays of all time steps, from the inputs' products in `z`."""
        raise NotImplementedError

    def _step(self, time: int) -> None:
        """Compute the states after a time step from those before it."""
        raise NotImplementedError

    def _step_back(self, time: int, *gradients: Array) -> None:
        """Turn gradients of the states after a time step into those before it, and fill `z` and `e`."""
        raise NotImplementedError

    def _array(self, name: str, *shape: int) -> Array:
        """Return an array whose memory is used again, as long as it suffices."""
        size = int(np.prod(shape))
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers[name] = np.empty(size, dtype=np.float32)
        return self._buffers[name][:size].reshape(shape)

    def _skipped(self, time: int) -> Any:
        """Return None where no row is padded at a time step, True where all are, else which, [rows, 1]."""
        if self.kept_steps is None or (kept := self.kept_steps[:, time]).all():
            return None
        return ~kept[:, None] if kept.any() else True

    def _use_recurrent(self, kernel: Array) -> None:
        """Lay out a recurrent kernel for products: gate by gate where each has a mask."""
        self._product = self._array("product", self.rows, self.gates * self.units)
        self._recurrent = kernel
        if self.recurrent_dropped is not None:
            by_gate = kernel.reshape(self.units, self.gates, self.units)
            self._recurrent = np.ascontiguousarray(by_gate.transpose(1, 0, 2))
            self._recurrent_back = np.ascontiguousarray(by_gate.transpose(1, 2, 0))
            self._gate_masks = np.ascontiguousarray(self.recurrent_dropped.transpose(1, 0, 2))
            self._gate_products = self._array("gate_products", self.gates, self.rows, self.units)
            self._masked = self._array("masked", self.gates, self.rows, self.units)

    def _multiply(self, state: Array, out: Array) -> None:
        """Write the recurrent product of a state [rows, units] to [rows, gates * units]."""
        if self.recurrent_dropped is None:
            np.matmul(state, self._recurrent, out=out)
        else:
            np.multiply(state, self._gate_masks, out=self._masked)
            np.matmul(self._masked, self._recurrent, out=self._gate_view(out))

    def _multiply_back(self, gradient: Array, out: Array) -> None:
        """Write the gradient of the state, given that of its recurrent product."""
        if self.recurrent_dropped is None:
            np.matmul(gradient, self._recurrent.T, out=out)
        else:
            np.matmul(self._gate_view(gradient), self._recurrent_back, out=self._gate_products)
            self._gate_products *= self._gate_masks
            np.add.reduce(self._gate_products, axis=0, out=out)

    def _gate_view(self, array: Array) -> Array:
        return array.reshape(self.rows, self.gates, self.units).transpose(1, 0, 2)


class Lstm(Rows):
    """Gates: input, forget, candidate, output. States: output and cell (Hochreiter and Schmidhuber 1997)."""

    scale = (0.5, 0.5, 1.0, 0.5)

    def _start(self, bias: Array) -> None:
        self.z += bias
        self.e = self.z
        shape = (self.time + 1, self.rows, self.units)
        self.states = [self._array("output", *shape), self._array("cell", *shape)]
        self.squashed = self._array("squashed", *shape)
        self.factor = np.repeat(np.array(self.scale, dtype=np.float32), self.units)
        self.shift = np.repeat(np.array((0.5, 0.5, 0.0, 0.5), dtype=np.float32), self.units)
        self.slope = 2 * self.shift
        self.views = _by_gate(self.z, self.gates)
        self.found = _by_gate(self._product, self.gates)
        self.some = self._array("some", self.rows, self.units)
        self.some_gates = self._array("some_gates", self.rows, self.gates * self.units)
        self.some_candidate = _by_gate(self.some_gates, self.gates)[2]

    def _step(self, time: int) -> None:
        output, cell = self.states
        z, some = self.z[time], self.some
        entering, forgotten, candidate, leaving = (view[time] for view in self.views)
        self._multiply(output[time], self._product)
        z += self._product
        np.tanh(z, out=z)
        z *= self.factor
        z += self.shift
        after, squashed = cell[time + 1], self.squashed[time]
        np.multiply(forgotten, cell[time], out=after)
        np.multiply(entering, candidate, out=some)
        after += some
        np.tanh(after, out=squashed)
        np.multiply(leaving, squashed, out=output[time + 1])

    def _step_back(self, time: int, *gradients: Array) -> None:
        output, cell = gradients
        z, some, some_gates, squashed = self.z[time], self.some, self.some_gates, self.squashed[time]
        entering, forgotten, candidate, leaving = (view[time] for view in self.views)
        to_entering, to_forgotten, to_candidate, to_leaving = self.found
        np.multiply(output, squashed, out=to_leaving)
        output *= leaving
        np.multiply(squashed, squashed, out=some)
        np.subtract(1, some, out=some)
        some *= output
        cell += some
        np.multiply(cell, candidate, out=to_entering)
        np.multiply(cell, self.states[1][time], out=to_forgotten)
        np.multiply(cell, entering, out=to_candidate)
        cell *= forgotten
        # The derivative of a sigmoid s is (1 - s) s, that of a candidate c is (0 - c) c + 1.
        np.subtract(self.slope, z, out=some_gates)
        some_gates *= z
        self.some_candidate += 1
        np.multiply(self._product, some_gates, out=z)
        self._multiply_back(z, output)


class Gru(Rows):
    """Gates: update, reset, candidate. State: the output (Cho et al. 2014, reset after the product)."""

    scale = (0.5, 0.5, 1.0)

    def _start(self, bias: Array) -> None:
        self.z += bias[0]
        self.recurrent_bias = bias[1]
        self.e = self._array("e", *self.z.shape)
        self.states = [self._array("output", self.time + 1, self.rows, self.units)]
        self.some = self._array("some", self.rows, self.units)

    def _step(self, time: int) -> None:
        before, after = self.states[0][time], self.states[0][time + 1]
        z, e, units = self.z[time], self.e[time], self.units
        self._multiply(before, e)
        e += self.recurrent_bias
        gates, candidate = z[:, : 2 * units], z[:, 2 * units :]
        gates += e[:, : 2 * units]
        np.tanh(gates, out=gates)
        gates *= 0.5
        gates += 0.5
        np.multiply(gates[:, units:], e[:, 2 * units :], out=self.some)
        candidate += self.some
        np.tanh(candidate, out=candidate)
        np.subtract(before, candidate, out=after)
        after *= gates[:, :units]
        after += candidate

    def _step_back(self, time: int, *gradients: Array) -> None:
        (output,) = gradients
        z, e, some, units, found = self.z[time], self.e[time], self.some, self.units, self._product
        gates, candidate = z[:, : 2 * units], z[:, 2 * units :]
        np.subtract(self.states[0][time], candidate, out=some)
        np.multiply(output, some, out=found[:, :units])
        np.subtract(1, gates[:, :units], out=some)
        some *= output
        output *= gates[:, :units]
        np.multiply(candidate, candidate, out=candidate)
        np.subtract(1, candidate, out=candidate)
        candidate *= some
        np.multiply(candidate, e[:, 2 * units :], out=found[:, units : 2 * units])
        np.multiply(candidate, gates[:, units:], out=e[:, 2 * units :])
        np.subtract(1, gates, out=e[:, : 2 * units])
        gates *= e[:, : 2 * units]
        gates *= found[:, : 2 * units]
        e[:, : 2 * units] = gates
        self._multiply_back(e, some)
        output += some


def _by_gate(array: Array, gates: int) -> list[Array]:
    """Return views of each gate's part of an array [..., gates * units]."""
    return np.split(array, gates, axis=-1)


def _masked(kernel: Array, mask: Array | None, row: int) -> Array:
    """Drop rows of a kernel [n, gates * units], or of its gradient, for each gate as a text's mask has it.

    The inputs times the mask, by the kernel, are the inputs by this.
    """
    if mask is None:
        return kernel
    columns = mask[row].T[:, :, None]
    parts = kernel.reshape(len(kernel), columns.shape[1], -1)
    return (parts * columns).reshape(kernel.shape)


def flush_denormals() -> None:
    """Let this thread take numbers below 1e-38 for 0, as TensorFlow's threads do.

    Gradients of hundreds of time steps vanish into such numbers, with which a processor is slow. C's
    floating-point environment holds the switch, where it is known here; without it only speed is lost.
    """
    known = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}
    try:
        library, (word, bits) = ctypes.CDLL("libm.so.6"), known[platform.machine()]
    except (OSError, KeyError):
        return
    environment = (ctypes.c_uint32 * 16)()
    library.fegetenv(environment)
    environment[word] |= bits
    library.fesetenv(environment)
