"""Reading a safetensors file with torch alone."""
import json
import struct

import torch

DTYPES = {"F64": torch.float64, "F32": torch.float32, "I64": torch.int64, "U8": torch.uint8}


def read(path):
    """-> ({name: tensor}, {key: text} of the metadata)"""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        part = data[8 + size + begin:8 + size + end]
        tensors[name] = torch.frombuffer(part, dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata
