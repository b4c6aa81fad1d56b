"""Writes the same rows in every format."""

from __future__ import annotations

import gzip
import io
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from safetensors.numpy import save_file

CLASSES = ("cat", "dog", "emu")


def png(image: np.ndarray) -> bytes:
    """Bytes of [channels, height, width]."""
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def huggingface(path: Path, x: np.ndarray, y: np.ndarray, classes: tuple[str, ...] = CLASSES) -> Path:
    features = {"image": {"_type": "Image"}, "label": {"names": list(classes), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    images = [{"bytes": png(each), "path": f"{number}.png"} for number, each in enumerate(x)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind), "label": y}).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=5)
    return path


def idx(path: Path, array: np.ndarray) -> Path:
    data = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write(kind: str, folder: Path, x: np.ndarray, y: np.ndarray) -> str:
    """Writes the rows as `kind` and returns the path a spec would name."""
    if kind == "parquet":
        return str(huggingface(folder / "d.parquet", x, y))
    if kind == "npz":
        np.savez(folder / "d.npz", x=x, y=y)
        return str(folder / "d.npz")
    if kind == "safetensors":
        save_file({"x": x, "y": y}, folder / "d.safetensors")
        return str(folder / "d.safetensors")
    if kind == "folder":
        for number, (image, label) in enumerate(zip(x, y, strict=True)):
            place = folder / "images" / CLASSES[label] / f"{number:03d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(png(image))
        return str(folder / "images")
    if kind in ("idx", "idx.gz"):
        ending = kind.removeprefix("idx")
        idx(folder / f"t-labels-idx1-ubyte{ending}", y.astype(np.uint8))
        return str(idx(folder / f"t-images-idx3-ubyte{ending}", x[:, 0]))
    assert kind == "callable"
    np.savez(folder / "inner.npz", x=x, y=y)
    code = "import numpy, pathlib\ndef rows():\n    d = numpy.load(pathlib.Path(__file__).parent / 'inner.npz')\n"
    (folder / "source.py").write_text(code + "    return d['x'], d['y']\n")
    return f"{folder / 'source.py'}:rows"
