"""Protobuf messages, ONNX's above all, byte by byte: for cases that need models which make_models.cc does not write."""


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    """A field: a number as a varint, bytes (a string or message) with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def info(name, *dims):
    """ValueInfoProto of an f32 tensor; a dim is a number or the name of a symbol."""
    shape = b"".join(field(1, field(1 if isinstance(d, int) else 2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def node(op, inputs, outputs, name=b"", *attributes):
    return field(1, b"".join([field(1, i) for i in inputs] + [field(2, o) for o in outputs] +
                             [field(3, name), field(4, op)] + [field(5, a) for a in attributes]))


def model(graph, opset=17):
    return field(1, 8) + field(7, field(2, b"g") + graph) + field(8, field(1, b"") + field(2, opset))
