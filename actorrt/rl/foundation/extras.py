"""Optional packages: checks that they are installed, and names the extra that installs them."""

from __future__ import annotations

import importlib.util

EXTRAS = {
    "gymnasium": "rl",
    "torch": "torch",
    "matplotlib": "plot",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "PIL": "video",
    "imageio_ffmpeg": "video",
    "wandb": "wandb",
    "mlflow": "mlflow",
}
"""The extra of `setup.cfg` that installs each package."""


class MissingPackageError(ModuleNotFoundError):
    """An optional package is needed and not installed."""


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def require(package: str) -> None:
    """Make sure that a package can be imported, without importing it.

    Raises:
        MissingPackageError: it is not installed; the message says how to install it.
    """
    if not is_installed(package):
        extra = EXTRAS.get(package)
        how = f'pip install "actorrt[{extra}]"' if extra else f"pip install {package}"
        raise MissingPackageError(f"{package} is needed and not installed: {how}", name=package)
