"""Writes samples into a Prometheus by remote write (prometheus.io/docs/concepts/remote_write_spec), because that takes
stale markers, which promtool's import of OpenMetrics does not.

The samples come from a file like OpenMetrics, with a timestamp on each line; the value NaN is a stale marker.
"""
import http.client
import re
import struct

from harness import LABEL, check

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+) (\S+)$")
STALE = struct.pack("<Q", 0x7FF0000000000002)
BATCH = 100_000  # samples of one request
LITERAL = 60_000


def unescape(value):
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def snappy(content):
    """Uncompressed, which the format allows: literals only."""
    out = [varint(len(content))]
    for begin in range(0, len(content), LITERAL):
        piece = content[begin:begin + LITERAL]
        out += [b"\xf4", struct.pack("<H", len(piece) - 1), piece]
    return b"".join(out)


def read_samples(file):
    """(milliseconds, index of the series, the eight bytes of the value), ascending; and the labels of each series."""
    samples, series = [], {}
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            match = SAMPLE.match(line)
            if not match or line.startswith("#"):
                continue
            name, labels, value, seconds = match.groups()
            index = series.setdefault((name, labels or ""), len(series))
            bits = STALE if value == "NaN" else struct.pack("<d", float(value))
            samples.append((round(float(seconds) * 1000), index, bits))
    samples.sort()
    pairs = [sorted([("__name__", name), *((key, unescape(value)) for key, value in LABEL.findall(labels))])
             for name, labels in series]
    return samples, [b"".join(field(1, field(1, key.encode()) + field(2, value.encode())) for key, value in labels)
                     for labels in pairs]


def remote_write(port, file):
    samples, labels = read_samples(file)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
               "X-Prometheus-Remote-Write-Version": "0.1.0"}
    for begin in range(0, len(samples), BATCH):
        by_series = {}
        for moment, index, bits in samples[begin:begin + BATCH]:
            by_series.setdefault(index, []).append(field(2, b"\x09" + bits + b"\x10" + varint(moment)))
        body = b"".join(field(1, labels[index] + b"".join(points)) for index, points in by_series.items())
        connection.request("POST", "/api/v1/write", snappy(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        check(answer.status == 204, f"remote write: {answer.status} {text[:300]}")
    connection.close()
    return len(samples)
