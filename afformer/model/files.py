"""Opens a checkpoint file as plain data and tensors, without ever running code that the file names.

A `.pth` file is a pickle, and a pickle names functions to be called while it is read. PyTorch never sees the file: the
readers in `reading/` know the forms that `torch.save` writes and nothing else. What they hold and do is bounded by the
file's size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from afformer.errors import CheckpointError
from afformer.model.reading.faults import Budget, DamageError, RefusalError
from afformer.model.reading.kinds import Form, form_of, other_kind
from afformer.model.reading.legacy_form import read_legacy
from afformer.model.reading.modules import is_module, module_state
from afformer.model.reading.safetensors_form import read_safetensors
from afformer.model.reading.source import Source, open_source
from afformer.model.reading.tar_form import read_tar
from afformer.model.reading.zip_form import read_zip

_EXPECTED = "expected what torch.save wrote, or a .safetensors file"
_PICKLED = {Form.ZIP: read_zip, Form.LEGACY: read_legacy, Form.TAR: read_tar}


class Content(NamedTuple):
    """What a checkpoint file holds.

    Attributes:
        object: The file's object; for safetensors its tensors by name. Tensors are `StoredTensor`, dictionary keys
            that are no text `OtherKey`, objects of foreign classes `Placeholder`.
        metadata: The metadata of a safetensors file.
    """

    object: Any
    metadata: dict[str, str]


@contextlib.contextmanager
def open_checkpoint_file(path: Path) -> Iterator[Content]:
    """Gives the content of a file of safetensors, or of anything that `torch.save` wrote.

    The content decides the form, not the name. Tensors can be read inside the `with` block only.

    Raises:
        CheckpointError: The file is missing, damaged, not a checkpoint, or asks for too much; here, or when a tensor is
            read.
    """
    try:
        with open_source(path) as source:
            yield _content(source)
    except DamageError as error:
        raise CheckpointError(
            f"{path}: cannot be read as a PyTorch checkpoint, it is truncated, damaged or another kind of file "
            f"({error}); {_EXPECTED}"
        ) from error
    except RefusalError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except MemoryError as error:
        raise CheckpointError(f"{path}: there is not enough memory for what it describes; free some") from error


def _content(source: Source) -> Content:
    form = form_of(source)
    if form is None:
        what = other_kind(source)
        if not what:
            raise DamageError("its first bytes are those of no form that is known")
        kind, _, remedy = what.partition("; ")
        raise RefusalError(f"{kind}, not a checkpoint; {remedy or _EXPECTED}")
    if form is Form.SAFETENSORS:
        return Content(*read_safetensors(source))
    budget = Budget(source.size)
    return Content(_without_modules(_PICKLED[form](source, budget), budget), {})


def _without_modules(found: Any, budget: Budget) -> Any:
    """Networks that were pickled whole, alone or in a dictionary, become their state dicts."""
    if is_module(found):
        return module_state(found, budget)
    if isinstance(found, dict):
        return {key: module_state(value, budget) if is_module(value) else value for key, value in found.items()}
    return found
