"""The learner's network on NumPy: the flat vector of `numpy_policy.MlpPolicy`, and its gradient.

Layers and their gradients are views of two flat vectors. So the optimiser, the norm of the gradient and publishing each
touch a single array. The backward pass is written out: that is faster than torch's recording, and no process waits for
torch's import. The arrays for intermediate results are reused from batch to batch.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from actorrt.rl.foundation.extras import is_installed
from actorrt.rl.networks.layout import hidden_names, layout_length, parameter_views
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.distributions import Distribution, distribution
from actorrt.rl.spaces.sampling import masked

if TYPE_CHECKING:
    from actorrt.rl.networks.torch_network import TorchNetwork

Backend = Literal["auto", "numpy", "torch"]

LARGE_COUNT = 1_000_000
"""Number of parameters beyond which a GPU pays, and torch's import takes little time compared with a batch."""


class Network:
    """The networks for actions and for values, over one flat parameter vector.

    Attributes:
        flat: the parameters.
        gradient: the result of the last backward pass, in the same layout.
        layers, layer_gradients: views of both by layer.
    """

    def __init__(self, spec: PolicySpec, parameters: Array) -> None:
        self.spec = spec
        self.flat = np.array(parameters, np.float32)
        self.gradient = np.zeros_like(self.flat)
        self.layers, self.layer_gradients = parameter_views(spec, self.flat), parameter_views(spec, self.gradient)
        self._names, self._is_tanh = hidden_names(spec), spec.activation == "tanh"
        self._allocate(0)

    def place(self, features: Array) -> Array:
        """Return rows of features where `forward` needs them; on NumPy they are there already."""
        return features

    def forward(self, features: Array, *, learns: bool = True) -> tuple[Array, Array]:
        """Pass rows of features, (batch, features), through both networks.

        Returns:
            The parameters of the distributions of actions, (batch, outputs), and the values, (batch,).
        """
        layers, inputs = self.layers, self.spec.input_count
        if len(features) > len(self._ones):
            self._allocate(len(features))
        self._seen = hidden = features[:, :inputs]
        self._passed = [array[:, : len(features)] for array in self._hidden_arrays]
        for name, passed in zip(self._names, self._passed, strict=True):
            np.matmul(hidden, layers[name], out=passed)
            passed += layers[f"{name}_bias"]
            np.tanh(passed, out=passed) if self._is_tanh else np.maximum(passed, np.float32(0.0), out=passed)
            hidden = passed
        # Outputs are stored column by column: sums over a few columns are many times slower along rows.
        outputs = (layers["action"].T @ hidden[0].T).T
        outputs += layers["action_bias"]
        value = (hidden[1] @ layers["value"])[:, 0]
        value += layers["value_bias"]
        return masked(outputs, features[:, inputs:]) if self.spec.mask_count else outputs, value

    def backward(self, d_outputs: Array, d_value: Array) -> None:
        """Compute the gradient of the last pass, in place of the one before; call it once for each pass.

        Args:
            d_outputs: gradient of the loss with respect to the outputs; zero for masked outputs.
            d_value: gradient of the loss with respect to the values.
        """
        layers, (chosen, valued) = self.layers, self._passed[-1]
        d_values = d_value[:, None]
        self._write_gradients("action", chosen, d_outputs)
        self._write_gradients("value", valued, d_values)
        d_passed = [array[:, : len(d_outputs)] for array in self._gradient_arrays]
        np.matmul(d_outputs, layers["action"].T, out=d_passed[-1][0])
        np.multiply(d_values, layers["value"].T, out=d_passed[-1][1])  # one value a row: many times faster than matmul
        for number in range(len(self._names) - 1, -1, -1):
            name, d_hidden = self._names[number], d_passed[number]
            d_hidden *= self._slope(self._passed[number])
            self._write_gradients(name, self._passed[number - 1] if number else self._seen, d_hidden)
            if number:
                np.matmul(d_hidden, layers[name].swapaxes(1, 2), out=d_passed[number - 1])

    def distribution(self, outputs: Array) -> Distribution:
        """Return the distribution of actions for the outputs of a pass."""
        return distribution(self.spec.action, outputs, self.layers.get("log_std"), self.layer_gradients.get("log_std"))

    def set_parameters(self, parameters: Array) -> None:
        """Copy a flat vector into the network."""
        self.flat[:] = parameters

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        return self.flat.copy()

    def _allocate(self, count: int) -> None:
        """Allocate arrays for the intermediate results of so many rows, and for their gradients."""
        shapes = [(2, count, units) for units in self.spec.hidden]
        self._hidden_arrays, self._gradient_arrays = ([np.empty(each, np.float32) for each in shapes] for _ in range(2))
        self._ones = np.ones(count, np.float32)

    def _slope(self, passed: Array) -> Array:
        """Return the slope of the activation whose result is `passed`; overwrites `passed`."""
        if not self._is_tanh:
            return np.greater(passed, 0.0, out=passed)
        np.square(passed, out=passed)
        return np.subtract(np.float32(1.0), passed, out=passed)

    def _write_gradients(self, name: str, inputs: Array, d_outputs: Array) -> None:
        """Write the gradients of one linear layer, or of the stacked layers of both networks."""
        np.matmul(inputs.swapaxes(-1, -2), d_outputs, out=self.layer_gradients[name])
        bias = self.layer_gradients[f"{name}_bias"]
        ones = self._ones[: d_outputs.shape[-2]]  # a product with ones is many times faster than a sum along rows
        np.matmul(ones, d_outputs, out=bias.reshape(*bias.shape[:-2], bias.shape[-1]))


AnyNetwork: TypeAlias = "Network | TorchNetwork"


def backend_of(spec: PolicySpec, backend: Backend = "auto") -> Literal["numpy", "torch"]:
    """Return the backend that computes the gradients of a policy's network.

    `"auto"` means NumPy for MLPs of up to a million parameters, for which it is no slower than torch on a CPU, and
    torch for all other networks, which a GPU may compute.

    Raises:
        ValueError: NumPy is requested, and the network is not an MLP.
    """
    if spec.network != "mlp":
        if backend == "numpy":
            raise ValueError("backend='numpy' supports MLPs only: give backend='torch' or 'auto' for this network")
        return "torch"
    if backend == "auto":
        is_large = layout_length(spec) > LARGE_COUNT
        return "torch" if is_large and is_installed("torch") else "numpy"
    return backend


def make_network(spec: PolicySpec, parameters: Array, backend: Backend = "auto") -> AnyNetwork:
    """Make the network with which a learner improves a policy."""
    if backend_of(spec, backend) == "numpy":
        return Network(spec, parameters)
    from actorrt.rl.networks.torch_network import TorchNetwork

    return TorchNetwork(spec, parameters)


def limit_threads(count: int) -> None:
    """Limit torch to so many threads, if this process has imported torch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)
