"""Payloads of DUMP, made by hand: a value as it stands in an RDB file, with version and checksum behind it."""
import struct


def crc64_step(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0x95AC9329AC4BC9B5 if byte & 1 else 0)
    return byte


CRC64_STEPS = [crc64_step(byte) for byte in range(256)]


def crc64(data):
    """The checksum of DUMP: Jones's polynomial, bits in reverse."""
    crc = 0
    for byte in data:
        crc = CRC64_STEPS[(crc ^ byte) & 0xff] ^ crc >> 8
    return crc


def payload(body, version=10):
    """What DUMP gives for a value whose form in an RDB file is `body`."""
    data = body + struct.pack("<H", version)
    return data + struct.pack("<Q", crc64(data))


PAYLOADS = [payload(body) for body in (
    b"\x00\x00", b"\x00\x05hello", b"\x00\xc0\x07", b"\x00\xc1\x00\x80", b"\x00\xc2\xff\xff\xff\x7f", b"\x00\x0210",
    b"\x04\x01\x02f1\x05value", b"\x04\x03\x02f1\xc0\x01\x04name\x00\x00\x01x",
    b"\x10\x15\x15\x00\x00\x00\x04\x00\x82f1\x03\x05\x01\x82f2\x03\x82\xff\x00\x03\xff")]
BAD_PAYLOADS = [b"", b"x", b"0123456789", PAYLOADS[1][:-1], PAYLOADS[1] + b"x", PAYLOADS[6][:-10] + PAYLOADS[1][-10:],
                payload(b"\x00\x01a", 100), payload(b""), payload(b"\x04\x00"), payload(b"\x00\x3fabc"),
                payload(b"\xff\x01a"), payload(b"\x10\x07\x07\x00\x00\x00\x00\x00\xff")]
