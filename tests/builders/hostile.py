"""Checkpoint files made to break what reads them. Each must end in one line, or in the tensors that it holds."""

from __future__ import annotations

import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.builders.checkpoint_files import (
    ORDERED,
    REBUILD,
    TENSOR,
    archive,
    legacy,
    member,
    number,
    numbers,
    one,
    safetensors,
    storage,
    tar,
    tensor,
    text,
)

FOREIGN = b"cfoo\nbar\n"
HIDING = b"PK\x05\x06"
"""Behind an archive, four bytes that make it none for some readers and none the less one for others."""


def small() -> dict[str, bytes]:
    """Files of at most some 100 KB, by what they try."""
    return {**_pickles(), **_streams(), **_tars(), **_archives(), **_safetensors()}


def _pickles() -> dict[str, bytes]:
    items = one(TENSOR)[:-1]
    made = ORDERED + b")R" + text("x") + TENSOR + b"s"
    pickles = {
        **{
            f"a state dict whose {name} is replaced": made + b"}" + text(name) + FOREIGN + b")Rsb."
            for name in ("items", "get", "__class__")
        },
        "a state dict whose slots are replaced": made + b"N}" + text("items") + FOREIGN + b")Rs\x86b.",
        "a function that is changed": one(REBUILD + b"N}" + text("__defaults__") + b")s\x86b"),
        "a class with attributes of others": one(text("collections") + text("OrderedDict.fromkeys.__self__") + b"\x93"),
        "a class named by numbers": one(b"K\x01K\x02\x93"),
        "a tensor for a key": b"}" + TENSOR + TENSOR + b"s.",
        "a dictionary that holds itself": b"}q\0" + text("state_dict") + b"h\0s.",
        "a dictionary without a value": b"(" + text("x") + b"d.",
        "a memo of 2 billion": b"}r\xff\xff\xff\x7f.",
        "a memo of minus one": b"}p-1\n.",
        "a memo that is empty": b"h\0.",
        "3 GB of bytes announced": b"\x8e" + (3 << 30).to_bytes(8, "little") + b"abc.",
        "3 GB of a bytearray announced": b"\x96" + (3 << 30).to_bytes(8, "little") + b"abc.",
        "3 GB of a frame announced": b"\x95" + (3 << 30).to_bytes(8, "little") + b"}.",
        "a number of 1 GB": b"\x8b" + (1 << 30).to_bytes(4, "little") + b"abc.",
        "a number of 5,000 digits": b"}I" + b"9" * 5000 + b"\nK\x01s.",
        "a key of 5,000 bytes": b"}\x8b" + (5000).to_bytes(4, "little") + b"\x7f" * 5000 + TENSOR + b"s.",
        "tuples in tuples": b")" + b"\x85" * 90_000 + b".",
        "a key of tuples in tuples": b"}" + b")" + b"\x85" * 90_000 + b"K\x01s.",
        "a key that takes for ever to hash": b"})" + b"2\x86" * 60 + b"Ns.",
        "objects in objects": FOREIGN + b"q\0" + b"h\0)\x81" * 30_000 + b"N" + b"b" * 29_999 + b".",
        "extension codes": b"\x82\x01.",
        "a buffer from outside": b"\x97.",
        "a stack that is empty": b"0.",
        "a mark that is missing": b"t.",
        "a name that is no UTF-8": items + b"X\x03\0\0\0\xed\xa0\x80" + TENSOR + b"s.",
        "a name of two lines": b"}" + text("first\nsecond\x1b[2J") + TENSOR + b"s.",
        "a name of 50,000 letters": b"}" + text("x" * 50_000) + TENSOR + b"s.",
        "wrappers around wrappers": b"}" + text("module." * 10_000 + "x") + TENSOR + b"s.",
        "a persistent id that is none": one(ORDERED + b")RQ"),
        "a storage of tensors": one(b"(" + text("storage") + TENSOR + text("0") + text("cpu") + number(16) + b"tQ"),
        "a storage outside its folder": one(tensor(storage(key="../data.pkl", elements=2), size=(2,))),
        "a storage of minus one": one(tensor(storage(elements=-1))),
        "a storage that is too short": one(tensor(storage(elements=10**10), size=(10**10,))),
        "a storage with two types": one(
            tensor(storage()) + tensor(storage("torch\nHalfStorage", elements=32)) + b"\x86"
        ),
        "a tensor that leaves its storage": one(tensor(offset=1)),
        "a tensor of negative strides": one(tensor(stride=(-1,))),
        "a tensor before its storage": one(tensor(offset=-16)),
        "a tensor of 2**62 repeated": one(tensor(size=(2**62,), stride=(0,))),
        "a tensor of 3e7 repeated": one(tensor(size=(30_000_000, 256), stride=(0, 0))),
        "a tensor of sizes beyond 64 bits": one(tensor(size=(2**70,), stride=(0,))),
        "a tensor of 1,000 dimensions": one(tensor(size=(1,) * 1000, stride=(1,) * 1000)),
        "a tensor of text": one(REBUILD + b"(" + text("a") * 4 + b"tR"),
        "a tensor of nothing": one(REBUILD + b")R"),
        "a tensor with other numbers": one(TENSOR + b"(" + TENSOR + b"NNNtb"),
        "a call of a tensor": one(TENSOR + b")R"),
        "a call without arguments": one(REBUILD + b"NR"),
        "an array larger than its bytes": one(_array(numbers((10**9,)))),
        "an array of strange shape": one(_array(text("shape"))),
        "modules that hold themselves": _module(b"}" + text("a") + b"h\0s"),
        "modules in modules, 2**40": _many_modules(40),
    }
    return {name: archive(pickled) for name, pickled in pickles.items()}


def _array(shape: bytes) -> bytes:
    kind = b"cnumpy\ndtype\n" + text("f8") + b"\x85R"
    state = b"(K\x01" + shape + kind + b"\x89C\x08" + bytes(8) + b"tb"
    return b"cnumpy.core.multiarray\n_reconstruct\n)R" + state


def _module(modules: bytes, memo: bytes = b"q\0") -> bytes:
    return FOREIGN + b")\x81" + memo + b"}(" + text("_parameters") + b"}" + text("_modules") + modules + b"ub."


def _many_modules(depth: int) -> bytes:
    whole = _module(b"}")[:-1]
    for _ in range(depth):
        both = b"}(" + text("a") + b"h\0" + text("b") + b"h\0u"
        whole += FOREIGN + b")\x81}(" + text("_parameters") + b"}" + text("_modules") + both + b"ubq\0"
    return whole + b"."


def _streams() -> dict[str, bytes]:
    count = (16).to_bytes(8, "little")
    return {
        "a stream whose storage is missing": legacy(one(TENSOR), [], b""),
        "a stream whose storage is cut": legacy(one(TENSOR), ["0"], count + bytes(60)),
        "a stream whose storage grows": legacy(one(TENSOR), ["0"], (10**9).to_bytes(8, "little") + bytes(64)),
        "a stream with an unknown storage": legacy(one(TENSOR), ["1"], count + bytes(64)),
        "a stream whose keys are none": legacy(one(TENSOR), [["0"]], count + bytes(64)),  # type: ignore[list-item]
        "a stream with a storage of 2**61": legacy(one(tensor(storage(elements=2**61))), ["0"], count + bytes(64)),
        "a pickle of something else": pickle.dumps({"a": 1}, 2),
        "a stream that stops": legacy(one(TENSOR), ["0"], b"")[:40],
    }


def _tars() -> dict[str, bytes]:
    kinds = {
        "a FIFO": member("storages", kind=tarfile.FIFOTYPE),
        "a symbolic link": member("storages", kind=tarfile.SYMTYPE, link="/dev/zero"),
        "a hard link": member("storages", kind=tarfile.LNKTYPE, link="/etc/hostname"),
        "a device": member("storages", kind=tarfile.CHRTYPE),
        "a folder": member("storages", kind=tarfile.DIRTYPE),
    }
    zero = pickle.dumps(0, 2)
    none = pickle.dumps([], 2)
    endless = pickle.dumps(2**61, 2)
    return {
        **{f"a tar archive with {name}": tar(found) for name, found in kinds.items()},
        "a tar archive with two": tar(member("storages", zero), member("storages", zero)),
        "a tar archive without": tar(member("other", zero)),
        "a tar archive of endless storages": tar(
            member("storages", endless), member("tensors", zero), member("pickle", none)
        ),
        "a tar archive of endless tensors": tar(
            member("storages", zero + none), member("tensors", endless), member("pickle", none)
        ),
    }


def _archives() -> dict[str, bytes]:
    whole = archive(one(TENSOR))
    start = whole.rindex(b"PK\x01\x02")
    return {
        "an archive with a tail": whole + HIDING,
        "an archive with a head": b"\0" * 8 + whole,
        "an archive with a comment": whole[:-2] + b"\x04\0" + HIDING,
        "an archive in an archive": whole[:-22] + whole,
        "a compressed archive": archive(one(TENSOR), method=zipfile.ZIP_DEFLATED),
        "an archive with a name twice": whole.replace(b"archive/version", b"archive/data/00").replace(b"/00", b"//0"),
        "an archive whose member lies elsewhere": whole[: start + 42] + b"\x10\0\0\0" + whole[start + 46 :],
        "an archive that is cut": whole[:-30],
        "an archive of nothing": HIDING + bytes(18),
    }


def _safetensors() -> dict[str, bytes]:
    entry = b'{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'
    return {
        "a header of half a terabyte": (1 << 39).to_bytes(8, "little") + b"{" + bytes(99),
        "a header that nests": safetensors(b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        "metadata that nests": safetensors(
            b'{"__metadata__":{"classes":"' + b"[" * 50_000 + b'"},"x":' + entry + b"}", bytes(16)
        ),
        "metadata that is no text": safetensors(b'{"__metadata__":{"a":[1]}}'),
        "tensors in one place": safetensors(b'{"a":' + entry + b',"b":' + entry + b"}", bytes(16)),
        "a tensor behind the end": safetensors(b'{"a":' + entry + b"}", bytes(8)),
        "a tensor of another size": safetensors(b'{"a":' + entry.replace(b"[4]", b"[5]") + b"}", bytes(16)),
        "a tensor of sizes beyond 64 bits ": safetensors(
            b'{"a":' + entry.replace(b"[4]", b"[1e400]") + b"}", bytes(16)
        ),
        "a tensor of many digits": safetensors(
            b'{"a":' + entry.replace(b"[4]", b"[" + b"9" * 9_000 + b"]") + b"}", bytes(16)
        ),
        "a tensor of unknown numbers": safetensors(b'{"a":' + entry.replace(b"F32", b"F4") + b"}", bytes(16)),
        "a tensor whose type is a list": safetensors(b'{"a":' + entry.replace(b'"F32"', b"[]") + b"}", bytes(16)),
        "a name twice": safetensors(b'{"a":' + entry + b',"a":' + entry + b"}", bytes(16)),
        "a name of half a character": safetensors(b'{"\\ud800\\n":' + entry + b"}", bytes(16)),
        "a header that is a list": safetensors(b"{}").replace(b"{}", b"[]"),
    }


def large() -> Iterator[tuple[str, bytes]]:
    """Files of some MB that ask for more memory or time than they may have, by what they try."""
    steps = 1_000_000
    yield "dictionaries", archive(b"}" * steps + b".")
    yield "names of classes", archive(b"cab\nc\n" * steps + b".")
    yield "one large dictionary", archive(b"}(" + b"K\x01K\x02" * (steps // 2) + b"u.")
    yield "dictionaries in dictionaries", archive(b"}" * (steps // 2) + b"Ns" * (steps // 2 - 9) + b".")
    yield "a memo with gaps", archive(b"Nr" + (steps // 2).to_bytes(4, "little") + b"N" * steps + b".")
    yield "more steps than its size allows", archive(b"N0" * (steps + steps // 10))
    yield (
        "bytes encoded again and again",
        archive(text("a" * 10**6) + b"q\0c_codecs\nencode\nq\1" + b"h\1h\0\x85R" * 10_000 + b"."),
    )
    yield (
        "pairs copied again and again",
        archive(ORDERED + b"q\0](" + b"NN\x86" * 10**5 + b"e\x85q\1" + b"h\0h\1R" * 10_000 + b"."),
    )
    yield "names joined again and again", archive(text("a" * 10**6) + b"q\0" + b"h\0h\0\x93" * 10_000 + b".")
    yield (
        "keys that collide",
        archive(
            b"}("
            + b"".join(b"\x8a\x0a" + ((2**61 - 1) * i).to_bytes(10, "little") + b"N" for i in range(1, 100_000))
            + b"u."
        ),
    )
    yield "a header of dictionaries", safetensors(b'{"a":[' + b",".join([b"{}"] * 10**6) + b"]}")
    yield "a header of 5 MB", safetensors(b"{" + b" " * 5_000_000 + b"}")


def torch_script(folder: Path) -> bytes:
    """A program that prints and writes `PWNED` into the current folder while torch reads it."""

    class Program(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.ones(3)

        @torch.jit.export
        def __getstate__(self) -> tuple[torch.Tensor, bool]:
            return self.weight, self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
            self.weight = state[0]
            self.training = state[1]
            torch.save(self.weight, "PWNED")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    path = folder / "program.pt"
    torch.jit.script(Program()).save(str(path))
    return path.read_bytes()
