"""Reads the forms that `torch.save` and safetensors write, and runs nothing that a file names.

    files.py                    the door: path -> content, faults -> CheckpointError
    `-- reading/
        |-- source.py           the bytes of a regular file
        |-- kinds.py            which form a file has, or what it is instead
        |-- zip_form.py         torch.save since 1.6            (zip_directory.py: its table of contents)
        |-- legacy_form.py      torch.save 0.1.11 to 1.5
        |-- tar_form.py         torch.save up to 0.1.10         (tar_members.py: its table of contents)
        |-- safetensors_form.py
        |-- machine.py          pickle opcodes -> plain data    (operands.py, builders.py, numpy_values.py)
        |-- modules.py          a pickled network -> its tensors by name
        `-- tensors.py          storages and tensors, read when they are asked for

Whatever a file makes us hold or do is bounded by its own size: see `Budget`.
"""
