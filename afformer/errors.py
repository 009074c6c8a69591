"""Everything that a user can get wrong, as exceptions.

    AfformerError               the message is one line: what, where, expected, remedy
    |-- CheckpointError         a checkpoint that cannot be read, or does not fit the network
    |-- ExportError             a model that cannot be exported, or did not survive verification
    |-- QuantizeError           an INT8 model that is not accurate or fast enough, or ranges that cannot be read
    |-- SpecError               an artifact without our metadata, or with metadata that we cannot read
    |-- ImageError              a picture or a label file that cannot be read
    |-- ChoiceError             a value that is none of the choices; also a ValueError
    |-- BackendError            a device, a provider or an engine that is not there or refuses the input
    `-- OutputError             a place that cannot be written to

The command line prints the message of an `AfformerError` and exits with `exit_code`. Any other exception is a bug of
ours and keeps its traceback.
"""


class AfformerError(Exception):
    """Base of all errors that a user can act on."""

    exit_code = 1


class CheckpointError(AfformerError):
    """A checkpoint that cannot be read, or does not fit the network."""


class ExportError(AfformerError):
    """A model that cannot be exported, or whose artifact differs from its source."""


class QuantizeError(AfformerError):
    """An INT8 model that did not come out accurate or fast enough, or ranges that cannot be read."""


class SpecError(AfformerError):
    """An artifact without the metadata that this package needs, or with metadata it cannot read."""


class ImageError(AfformerError):
    """A picture or a label file that cannot be read."""


class ChoiceError(AfformerError, ValueError):
    """A value that is none of those to choose from."""


class BackendError(AfformerError):
    """A device, execution provider or engine that is missing, or a feed that does not fit the model."""


class OutputError(AfformerError):
    """A file or folder that cannot be written."""
