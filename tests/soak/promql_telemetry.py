"""Generates telemetry as OpenMetrics text with timestamps, which promql.py loads into both sides. The value NaN is a
stale marker: it ends about half of the gaps' series, some at once and some later, and about half of the series."""

HOURS = 6


def stamps(chance, start, seconds, period, gaps=0, jitter=0.4):
    """Timestamps in milliseconds near a grid, without those in the gaps."""
    holes = [(at, at + chance.choice((3, 20, 90, 310, 900))) for at in
             (chance.uniform(0, seconds) for _ in range(gaps))]
    tick = 0
    while tick * period < seconds:
        at = tick * period + chance.uniform(0, jitter) * period * 0.5
        if not any(low <= at < high for low, high in holes):
            yield round((start + at) * 1000)
        tick += 1


def walk(chance, first, step, low, high, digits):
    """A random walk between two bounds."""
    value = first
    while True:
        value = min(high, max(low, value + chance.gauss(0, step)))
        yield round(value, digits)


def count(chance, first, most, resets, digits=3):
    """A counter, which restarts with probability `resets` per tick."""
    value = first
    while True:
        value = chance.choice((0, 0, chance.uniform(0, most))) if chance.random() < resets else value
        yield round(value, digits)
        value += chance.uniform(0, most)


def families(chance, start):
    """(name, type, [(labels, period, gaps, values)])."""
    seconds = HOURS * 3600
    gpus = [{"gpu": str(gpu), "uuid": f"GPU-{gpu:04x}-{chance.getrandbits(16):04x}"} for gpu in range(4)]
    yield "perjoule_gpu_power_watts", "gauge", [
        (gpu, start, seconds, 1, 3, walk(chance, 300, 15, 40, 700, 3)) for gpu in gpus]
    # The same labels under another name, at other times: such series become equal when names are dropped.
    yield "perjoule_gpu_power_instant_watts", "gauge", [
        (gpu, start + chance.choice((0, 4 * 3600)), 7200, 5, 2, walk(chance, 300, 40, 0, 900, 0)) for gpu in gpus[:3]]
    yield "perjoule_gpu_module_power_watts", "gauge", [
        (gpus[3], start, seconds, 15, 0, walk(chance, 500, 5, 100, 900, 6))]
    yield "perjoule_gpu_energy_joules_total", "counter", [
        (gpu, start, seconds, 1, 4, count(chance, chance.choice((0, 1e9)), 700, resets))
        for gpu, resets in zip(gpus, (0, 0.0005, 0.01, 0.2))]
    yield "perjoule_gpu_xid_errors_total", "counter", [
        (gpu | {"xid": xid}, start, seconds, 60, 1, count(chance, 0, 0.6, 0.02, 0)) for gpu in gpus
        for xid in ("48", "79")]
    yield "perjoule_temperature_celsius", "gauge", [
        ({"chip": chip, "sensor": sensor, "role": role}, start, seconds, 10, 3, walk(chance, 40, 2, -20, 110, 1))
        for chip, sensor, role in (
            ("k10temp", "Tctl", "cpu"), ("k10temp", "Tccd1", "cpu"), ("nvme", "Composite", "nvme"),
            ("nvme", "Sensor 1", "nvme"), ("jc42", "temp1", "other"), ("i350bb", "loc1", "nic"))]
    yield "perjoule_gpu_utilization_ratio", "gauge", [
        (gpu, start, seconds, 5, 6, walk(chance, 0.5, 0.2, 0, 1, 2)) for gpu in gpus]
    yield "perjoule_throttle_active", "gauge", [
        (gpus[0] | {"reason": reason}, start, seconds, 15, 2, iter(lambda: chance.choice((0, 0, 0, 1)), 2))
        for reason in ("sw_power_cap", "hw_thermal", 'quoted "reason"', "back\\slash", "naïve")]
    yield "perjoule_large_bytes", "gauge", [
        ({}, start, seconds, 30, 2, iter(lambda: chance.choice((1e-9, 3.5e17, 1e300, -4e-7, 123456789012345680.0)), 0))]
    yield "perjoule_short_watts", "gauge", [
        ({"phase": phase}, start + 3600 * hour, 600, 1, 0, walk(chance, 10, 1, -50, 50, 3))
        for hour, phase in enumerate(("L1", "L2", "L3"))]


def escape(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write_end(chance, out, head, last, before):
    """A stale marker between two moments, or none."""
    if chance.random() < 0.5:
        moment = last + 1 if chance.random() < 0.3 else chance.randrange(last + 1, before)
        out.write(f"{head} NaN {moment // 1000}.{moment % 1000:03}\n")


def write_telemetry(chance, file, start):
    with open(file, "w", encoding="utf-8") as out:
        for name, kind, members in families(chance, start):
            out.write(f"# TYPE {name.removesuffix('_total')} {kind}\n")
            for labels, begin, seconds, period, gaps, values in members:
                text = ",".join(f'{key}="{escape(value)}"' for key, value in labels.items())
                head = f"{name}{{{text}}}" if text else name
                last = 0
                for moment, value in zip(stamps(chance, begin, seconds, period, gaps), values):
                    if last and moment - last > 2500 * period:
                        write_end(chance, out, head, last, moment)
                    if moment > last:
                        out.write(f"{head} {value!r} {moment // 1000}.{moment % 1000:03}\n")
                    last = moment
                write_end(chance, out, head, last, last + 4000 * period)
        out.write("# EOF\n")
