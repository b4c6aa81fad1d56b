"""What a model file is, found by looking at its bytes. Nothing in it is run."""

from __future__ import annotations

import pickletools
import zipfile
from enum import Enum
from pathlib import Path, PurePosixPath

from auditor.errors import ModelError

PICKLE_BYTES = 1 << 26
"""A state dict's pickle holds names and shapes, not weights; one beyond this size is none."""


class Kind(Enum):
    """The kinds of model file; the value is what a message calls it."""

    STATE_DICT = "a state dict"
    SAFETENSORS = "safetensors"
    ONNX = "ONNX"
    PICKLE = "a pickle of more than weights"
    TORCHSCRIPT = "a TorchScript archive"
    EXPORTED = "a .pt2 archive"


UNSAFE = frozenset({Kind.PICKLE, Kind.TORCHSCRIPT, Kind.EXPORTED})
"""Kinds whose loading can execute code."""


def detect(path: Path) -> Kind:
    """The kind of a model file. Raises ModelError for a file that is none or is cut off.

    The bytes decide; the ending only tells ONNX, which has no signature. A pickle counts as a state dict as long as
    it names nothing outside torch's own list of harmless globals."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise ModelError(f"model file {path.name} cannot be read: {error.strerror}") from error
    if size == 0:
        raise ModelError(f"model file {path.name} is empty", remedy="save the weights again")
    if head.startswith(b"PK"):
        return _archive(path)
    if path.suffix.lower() == ".onnx":
        return Kind.ONNX
    if head.startswith(b"\x80"):
        return Kind.PICKLE if _strange(_first_pickles(path)) else Kind.STATE_DICT
    header = int.from_bytes(head[:8], "little")
    if path.suffix.lower() == ".safetensors" or (len(head) > 8 and head[8:9] == b"{" and header < size):
        return Kind.SAFETENSORS
    if path.suffix.lower() == ".pt2":
        return Kind.EXPORTED
    raise ModelError(
        f"model file {path.name} is no state dict, safetensors or ONNX file; it starts with {head[:8].hex()}",
        remedy="save weights with torch.save(model.state_dict(), ...) or safetensors.torch.save_file",
        code="unknown-format",
    )


def strange_globals(path: Path) -> tuple[str, ...]:
    """What a pickled model file names beyond weights, such as `posix.system`, by reading its opcodes."""
    data = _pickle_of(path) if zipfile.is_zipfile(path) else _first_pickles(path)
    return _strange(data)


def _archive(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"model file {path.name} is cut off or damaged: {error}", remedy="copy it again") from error
    names = {PurePosixPath(entry.filename).parts[-1] for entry in entries if entry.filename.strip("/")}
    # The outermost folder is named after the file, so `code.pt` and `models.pt` say nothing by theirs.
    parts = {part for entry in entries for part in PurePosixPath(entry.filename).parts[1:]}
    if (
        names & {"constants.pkl", "attributes.pkl"}
        or parts & {"code"}
        or any(name.endswith(".torchscript") for name in names)
    ):
        return Kind.TORCHSCRIPT
    exported = {"archive_format", "serialized_exported_program.json", "models", "aotinductor"}
    if path.suffix.lower() == ".pt2" or (names | parts) & exported:
        return Kind.EXPORTED
    if "data.pkl" not in names:
        raise ModelError(
            f"model file {path.name} is a zip archive, but none that torch.save wrote (it has no data.pkl)",
            remedy="save weights with torch.save(model.state_dict(), ...)",
            code="unknown-format",
        )
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ModelError(
            f"model file {path.name} holds compressed entries ({packed[0]}), which torch.save never writes",
            remedy="save weights with torch.save(model.state_dict(), ...)",
        )
    return Kind.PICKLE if _strange(_pickle_of(path)) else Kind.STATE_DICT


def _pickle_of(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if PurePosixPath(entry.filename).name == "data.pkl" and entry.file_size <= PICKLE_BYTES:
                    return archive.read(entry)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"model file {path.name} is cut off or damaged: {error}", remedy="copy it again") from error
    return b""


def _first_pickles(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(PICKLE_BYTES)


def _strange(data: bytes) -> tuple[str, ...]:
    """Globals of every pickle at the start of `data` that torch does not count as harmless, in order of appearance.

    Looks at opcodes alone. It is a courtesy to the reader of the message: what keeps code from running is that no
    pickle is ever loaded otherwise than with `weights_only=True`."""
    from torch._weights_only_unpickler import _get_allowed_globals

    allowed = _get_allowed_globals()
    found: dict[str, None] = {}
    while data.startswith(b"\x80"):
        strings: list[str] = []
        memo: dict[int, str] = {}
        end = 0
        try:
            for code, argument, position in pickletools.genops(data):
                if code.name == "GLOBAL":
                    found[str(argument).replace(" ", ".")] = None
                elif code.name == "STACK_GLOBAL":
                    found[".".join(strings[-2:])] = None
                elif isinstance(argument, str):
                    strings.append(argument)
                elif code.name == "MEMOIZE":
                    memo[len(memo)] = strings[-1] if strings else ""
                elif code.name in ("BINGET", "LONG_BINGET"):
                    strings.append(memo.get(int(argument or 0), ""))
                end = (position or 0) + 1
        except Exception:
            break  # cut off or malformed; what was seen before counts
        data = data[end:]
    return tuple(name for name in found if name not in allowed)
