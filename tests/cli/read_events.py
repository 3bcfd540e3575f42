#!/usr/bin/env python3
"""Reads a TensorBoard event file from its specification alone, with nothing but struct: checks both checksums of every
record and prints one line per scalar, "step tag value". Used by test_callbacks.sh; it shares no code with what it reads.
"""
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check(data, stored):
    crc = crc32c(data)
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    if (rotated + 0xA282EAD8) % 2**32 != stored:
        sys.exit("a checksum is wrong")


def records(text):
    at = 0
    while at < len(text):
        (length,) = struct.unpack_from("<Q", text, at)
        check(text[at:at + 8], struct.unpack_from("<I", text, at + 8)[0])
        data = text[at + 12:at + 12 + length]
        check(data, struct.unpack_from("<I", text, at + 12 + length)[0])
        at += 16 + length
        yield data


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a message as (number, value)."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 2:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        elif kind == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            sys.exit("a field of unknown kind %d" % kind)
        yield key >> 3, value
    if at != len(data):
        sys.exit("a message is too short")


def main(path):
    for i, data in enumerate(records(open(path, "rb").read())):
        event = dict(fields(data))
        if not 1.6e9 < event[1] < 1e11:
            sys.exit("a time is not in seconds since 1970")
        if i == 0:
            if event[3] != b"brain.Event:2":
                sys.exit("the first record is not the version")
            continue
        for _, entry in fields(event[5]):
            value = dict(fields(entry))
            print(event[2], value[1].decode(), "%.9g" % value[2])


main(sys.argv[1])
