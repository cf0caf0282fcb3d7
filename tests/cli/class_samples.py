"""Samples of three classes that a mean tells apart, as shapes/<class>/<nn>.npy: for cases of mnn train."""
import pathlib
import struct


def write(folder="shapes", count=20):
    state = 1
    for name, level in (("dark", -0.7), ("grey", 0.0), ("light", 0.7)):
        for i in range(count):
            values = []
            for _ in range(768):
                state = (state * 1103515245 + 12345) % 2**31
                values.append(level + (state / 2**31 - 0.5))
            head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 16, 16), }"
            head += " " * (53 + 64 - len(head)) + "\n"
            path = pathlib.Path(folder, name, f"{i:02d}.npy")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
                             struct.pack("<768f", *values))
