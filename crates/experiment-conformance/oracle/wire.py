"""JSON whose number tokens stay as written: `1.0`, `1e3`, `-0` and integers of any size survive
reading and writing, because engines differ exactly there.

Used by generate.py and compare.py: `read(text)`, `write(value)`, `Number("1e3")`.
"""

import json
from json.encoder import encode_basestring


class Number(str):
    """A JSON number, held as its token."""

    __slots__ = ()


_decoder = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)
read = _decoder.decode


def write(value):
    """The value as compact JSON, objects in insertion order."""
    if isinstance(value, Number):
        return str.__str__(value)
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode_basestring(k)}:{write(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join([write(v) for v in value]) + "]"
    return repr(value)
