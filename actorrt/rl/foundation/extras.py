"""Packages that only some of the library needs: asks for them, and says which extra brings them."""

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
"""The extra of `setup.cfg` that brings each package."""


class MissingPackageError(ModuleNotFoundError):
    """A package is not installed that what was asked for needs."""


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def require(package: str) -> None:
    """Make sure that a package can be imported; doesn't import it.

    Raises:
        MissingPackageError: it is not installed; the message says how it is.
    """
    if not is_installed(package):
        extra = EXTRAS.get(package)
        how = f'pip install "actorrt[{extra}]"' if extra else f"pip install {package}"
        raise MissingPackageError(f"{package} is needed and not installed: {how}", name=package)
