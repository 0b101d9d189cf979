"""The learner's network on NumPy: the flat vector of `numpy_policy.MlpPolicy`, and its gradient.

Layers and their gradients are views of two flat vectors. So the optimiser, the norm of the gradient and publishing each
touch a single array. The backward pass is written out: that is faster than torch's recording, and no process waits for
torch's import. The arrays for intermediate results are reused from batch to batch.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from actorrt.rl.foundation.extras import is_installed
from actorrt.rl.networks.activations import ACTIVATIONS
from actorrt.rl.networks.layout import hidden_names, layout_length, parameter_views, value_hidden_names
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
        self._names, self._value_names = hidden_names(spec), value_hidden_names(spec)
        self._activate, self._slope, self._reads_values = ACTIVATIONS[spec.activation]
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
        self._seen = seen = features[:, :inputs]
        if self._value_names:
            chosen, valued = self._pass(self._names, seen)[0], self._pass(self._value_names, seen)[0]
        else:
            passed = self._pass(self._names, seen)  # both networks at once
            chosen, valued = passed[0], passed[-1]
        self._heads = chosen, valued
        # Outputs are stored column by column: sums over a few columns are many times slower along rows.
        outputs = (layers["action"].T @ chosen.T).T
        outputs += layers["action_bias"]
        if "value" in layers:
            value = (valued @ layers["value"])[:, 0]
            value += layers["value_bias"]
        else:
            value = np.zeros(len(outputs), np.float32)
        return masked(outputs, features[:, inputs:]) if self.spec.mask_count else outputs, value

    def backward(self, d_outputs: Array, d_value: Array) -> None:
        """Compute the gradient of the last pass, in place of the one before; call it once for each pass.

        Args:
            d_outputs: gradient of the loss with respect to the outputs; zero for masked outputs.
            d_value: gradient of the loss with respect to the values.
        """
        layers, (chosen, valued), count = self.layers, self._heads, len(d_outputs)
        if self.spec.estimates_actions:
            self._pass_back_action_values(chosen, d_outputs, d_value)
            return
        d_values = d_value[:, None]
        self._write_gradients("action", chosen, d_outputs)
        self._write_gradients("value", valued, d_values)
        d_last = self._d_results[self._names[-1]][:, :count]
        d_valued = self._d_results[self._value_names[-1]][0, :count] if self._value_names else d_last[1]
        np.matmul(d_outputs, layers["action"].T, out=d_last[0])
        np.multiply(d_values, layers["value"].T, out=d_valued)  # one value a row: many times faster than matmul
        self._pass_back(self._names, count)
        if self._value_names:
            self._pass_back(self._value_names, count)

    def _pass_back_action_values(self, chosen: Array, d_outputs: Array, d_value: Array) -> None:
        """As `backward`, for one network that estimates the values of actions."""
        layers, count = self.layers, len(d_outputs)
        d_last = self._d_results[self._names[-1]][0, :count]
        self._write_gradients("action", chosen, d_outputs)
        np.matmul(d_outputs, layers["action"].T, out=d_last)
        if "value" in layers:
            d_values = d_value[:, None]
            self._write_gradients("value", chosen, d_values)
            d_last += d_values * layers["value"].T
        self._pass_back(self._names, count)

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
        names = (*self._names, *self._value_names)
        shapes = {name: (len(self.layers[name]), count, self.layers[name].shape[2]) for name in names}
        self._results, self._d_results, self._values = (
            {name: np.empty(shape, np.float32) for name, shape in shapes.items()} for _ in range(3)
        )
        self._ones = np.ones(count, np.float32)

    def _pass(self, names: tuple[str, ...], hidden: Array) -> Array:
        """Pass rows through hidden layers, (networks, batch, units); keep what `_pass_back` needs."""
        layers, count = self.layers, len(hidden)
        for name in names:
            passed = self._results[name][:, :count]
            np.matmul(hidden, layers[name], out=passed)
            passed += layers[f"{name}_bias"]
            if self._reads_values:
                self._values[name][:, :count] = passed
            self._activate(passed, out=passed)
            hidden = passed
        return hidden

    def _pass_back(self, names: tuple[str, ...], count: int) -> None:
        """Pass the gradient of the last hidden layer's results back through the layers."""
        for number in range(len(names) - 1, -1, -1):
            name, d_hidden = names[number], self._d_results[names[number]][:, :count]
            d_hidden *= self._slope(self._results[name][:, :count], self._values[name][:, :count])
            self._write_gradients(name, self._results[names[number - 1]][:, :count] if number else self._seen, d_hidden)
            if number:
                before = self._d_results[names[number - 1]][:, :count]
                np.matmul(d_hidden, self.layers[name].swapaxes(1, 2), out=before)

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


def rows_of(features: Any, index: Array) -> Any:
    """Return these rows of features, which are an array or a tensor, as `place` returned them."""
    if isinstance(features, np.ndarray):
        return features[index]
    from torch import as_tensor  # there is a tensor, so torch is imported already

    return features.index_select(0, as_tensor(index, device=features.device))  # [] would copy byte by byte


def limit_threads(count: int) -> None:
    """Limit torch to so many threads, if this process has imported torch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)
