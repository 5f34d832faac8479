"""Frozen values to strict JSON and back; the only place where JSON meets our types.

Understood are dataclasses, enums (by value), `str`, `int`, `float`, `bool`, `None`, fixed and variadic
tuples, `Mapping[str, T]`, and unions of these. A dataclass is an object of its fields. It carries the name of
its class as `kind`, except where it stands in a tuple or mapping that can hold nothing else; a dataclass with
a field of that name carries none and must not stand in a union.

Reading is strict: an unknown key, a key given twice, a wrong type (a bool is no number), a number that is not
finite, or a value the class refuses is a `CodecError` that names the place, as in
``$.images["a.png"].split``.
"""

from engine.codec.declared import KIND, MAX_DEPTH
from engine.codec.reading import MAX_TEXT, decode, loads
from engine.codec.writing import dumps, encode

__all__ = ["KIND", "MAX_DEPTH", "MAX_TEXT", "decode", "dumps", "encode", "loads"]
