import base64
import struct
import zlib


def chunk(kind, data):
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(rows):
    height, width = len(rows), len(rows[0])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(raw, 0))
        + chunk(b"IEND", b"")
    )


def main(args):
    values = args["values"]
    top = max(values)
    rows = [[0 if v >= top - y else 255 for v in values] for y in range(top)]
    image = base64.b64encode(png(rows)).decode()
    return {"headers": {"Content-Type": "image/png"}, "statusCode": 200, "body": image}
