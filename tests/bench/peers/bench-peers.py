#!/usr/bin/python3
"""Runs the same work on libgkv and on what people would use instead, and prints the figures side by side.

Each system has a driver, a program that hosts N of its nodes; README.md beside this file has what drivers are asked and
what they say. Bytes, memory and loss are counted and made outside the drivers, by the same means for all: every run has
a network namespace of its own, whose loopback device does the counting and the dropping.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import platform
import selectors
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
IMAGES = ROOT / "docs" / "images"

NAMES = {"gkv": "libgkv", "gossipkv": "gossipkv", "memberlist": "memberlist", "chitchat": "chitchat",
         "gkv-loop": "libgkv, no thread", "udp": "bare UDP", "dds": "Cyclone DDS", "zenoh": "zenoh"}
COLOURS = {"gkv": "#1a5fb4", "gossipkv": "#c01c28", "memberlist": "#26a269", "chitchat": "#9141ac"}

# Whom a case is for: maps that are shared by gossip, or whatever brings a value from one process to another.
MAPS = ("gkv", "gossipkv", "memberlist", "chitchat")
PAIRS = ("udp", "gkv", "gkv-loop", "dds", "zenoh")

# Round trips of the two runs whose system calls are counted; the difference leaves out what starting costs.
FEW_TRIALS, MANY_TRIALS = 500, 2500

# Ways to lose a quarter of the packets of a namespace's loopback device; the first one that works is used for all.
LOSSES = {
    "tc netem": "tc qdisc add dev lo root netem loss 25%",
    "iptables statistic": "iptables -A INPUT -m statistic --mode random --probability 0.25 -j DROP",
    "nft numgen": "nft 'add table ip f; add chain ip f i { type filter hook input priority 0; };"
                  " add rule ip f i numgen random mod 4 0 drop'",
}


# --- What is done


class Case:
    """One run of a driver, and the rows of the table that come out of it.

    awake: the cores are kept from sleeping."""

    def __init__(self, name, workload, rows, systems=MAPS, loss=False, awake=False, **options):
        self.name = name
        self.workload = workload
        self.rows = rows
        self.systems = systems
        self.loss = loss
        self.awake = awake
        self.options = options


def make_cases(quick):
    cases = []
    trials = 3 if quick else 5
    for interval, what in ((0, "defaults"), (200, "all intervals 200 ms")):
        for nodes in (3, 10) if quick else (3, 10, 40, 100):
            cases.append(Case(f"spread-{nodes}-{interval or 'default'}", "spread",
                              {"ms": f"one write to all of {nodes} nodes, {what}, ms"},
                              nodes=nodes, interval=interval, trials=trials))
    for keys in (1000, 10000) if quick else (1000, 10000, 100000):
        cases.append(Case(f"join-{keys}", "join", {"ms": f"an empty node joins {keys:,} keys, ms",
                                                   "bytes": f"bytes on the wire while it joins {keys:,} keys"},
                          keys=keys))
    cases.append(Case("newkey", "spread", {"ms": "one new key among 20,000, two nodes, ms"},
                      nodes=2, keys=2000 if quick else 20000, trials=trials))
    cases.append(Case("idle", "idle", {"rate": "idle traffic of 10 nodes with 1,000 keys, bytes/s a node"},
                      nodes=10, keys=1000, seconds=5 if quick else 60))
    many = 100000 if quick else 1000000
    cases.append(Case("local", "local", {"set-hot-ns": "set of a hot key, ns", "get-hot-ns": "get of a hot key, ns",
                                         "set-many-ns": f"set over {many:,} keys, ns",
                                         "get-many-ns": f"get over {many:,} keys, ns"},
                      keys=many, trials=3))
    cases.append(Case("memory", "memory", {"mb": f"resident memory with {many:,} keys, MB"}, keys=many))
    cases.append(Case("loss", "spread", {"ms": "one write to all of 40 nodes at 25 % loss, defaults, ms"}, loss=True,
                      nodes=10 if quick else 40, trials=trials))
    return cases + make_pair_cases(quick)


def make_pair_cases(quick):
    cases = []
    seconds = 1 if quick else 3
    for awake, what in ((False, "idle machine"), (True, "cores awake")):
        cases.append(Case("pair-awake" if awake else "pair-idle", "pair",
                          {"half-median": f"half a ping-pong of 64 bytes, {what}, median, us",
                           "half-99.9": f"half a ping-pong of 64 bytes, {what}, 99.9 %, us",
                           "cpu": f"processor time of a side for a round trip, {what}, us",
                           "one-way-median": f"64 bytes one way, 1,000 writes/s, {what}, median, us",
                           "one-way-99.9": f"64 bytes one way, 1,000 writes/s, {what}, 99.9 %, us"},
                          systems=PAIRS, awake=awake, trials=2000 if quick else 10000, seconds=seconds))
    cases.append(Case("pair-calls", "calls", {"calls": "system calls of a side for a round trip"}, systems=PAIRS))
    for cores, what in ((2, "a core for each end"), (1, "both ends on one core")):
        cases.append(Case("hot-one-core" if cores == 1 else "hot", "hot",
                          {"hot-told": f"a hot key written without pause, {what}, values told a second",
                           "hot-cpu": f"a hot key written without pause, {what}, % of a core that the reader uses"},
                          systems=PAIRS, seconds=seconds, cores=cores))
    return cases


# --- The drivers


def find_tool(name, *folders):
    return shutil.which(name) or next((f"{f}/{name}" for f in folders if os.access(f"{f}/{name}", os.X_OK)), None)


def run_tool(log, folder, *command):
    with open(log, "a", encoding="utf-8") as out:
        return subprocess.run(command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                              check=False).returncode == 0


def copy_source(system, build):
    """The tools write beside the sources, so they get a copy."""
    folder = build / "peers" / system
    shutil.copytree(HERE / system, folder, dirs_exist_ok=True)
    return folder


def build_go(system, build, source):
    go = find_tool("go", "/usr/local/go/bin", "/usr/lib/go/bin")
    if go is None:
        return None, "no go here"
    folder = copy_source(system, build)
    log = build / "peers" / f"{system}.log"
    log.unlink(missing_ok=True)
    if source is not None:
        module = f"github.com/DobryySoul/{system}" if system == "gossipkv" else f"github.com/hashicorp/{system}"
        run_tool(log, folder, go, "mod", "edit", "-replace", f"{module}={pathlib.Path(source).resolve()}")
    if not run_tool(log, folder, go, "build", "-mod=mod", "-p", "2", "-o", "driver", "."):
        return None, f"its module can't be fetched or built here, see {log.name}"
    return folder / "driver", None


def build_cargo(system, build, source):
    cargo = find_tool("cargo", os.path.expanduser("~/.cargo/bin"))
    if cargo is None:
        return None, "no cargo here"
    folder = copy_source(system, build)
    log = build / "peers" / f"{system}.log"
    log.unlink(missing_ok=True)
    more = [] if source is None else ["--config", f"patch.crates-io.{system}.path='{pathlib.Path(source).resolve()}'"]
    if not run_tool(log, folder, cargo, "build", "--release", "-j", "2", *more):
        return None, f"its crate can't be fetched or built here, see {log.name}"
    return folder / "target" / "release" / f"{system}-driver", None


def build_dds(build):
    missing = [tool for tool in ("gcc", "idlc", "pkg-config") if shutil.which(tool) is None]
    if missing or not works(["pkg-config", "--exists", "CycloneDDS", "glib-2.0"]):
        what = missing[0] if missing else "CycloneDDS"
        return None, f"no {what} here: Debian has it in cyclonedds-dev and cyclonedds-tools"
    folder = copy_source("dds", build)
    log = build / "peers" / "dds.log"
    log.unlink(missing_ok=True)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "CycloneDDS", "glib-2.0"], stdout=subprocess.PIPE,
                           encoding="utf-8", check=True).stdout.split()
    sources = ["value.c", HERE / "dds" / "dds-driver.c", HERE.parent / "pair" / "pair.c"]
    if not run_tool(log, folder, "idlc", "-l", "c", "value.idl") or \
            not run_tool(log, folder, "gcc", "-O2", "-D_GNU_SOURCE", "-I.", "-o", "driver", *sources, *flags):
        return None, f"its driver can't be built here, see {log.name}"
    return folder / "driver", None


def find_driver(system, build, source):
    if system in ("gkv-loop", "udp"):
        return None, None
    if system == "dds":
        return build_dds(build)
    if system == "gkv":
        return build / "tests" / "bench" / "peers" / "gkv" / "gkv-driver", None
    return (build_cargo if system in ("chitchat", "zenoh") else build_go)(system, build, source)


def get_command(system, driver, case, build):
    """What runs a case but for its options. Our own pair is that of './run bench pair', as is the floor."""
    if case.systems is PAIRS and system in ("gkv", "gkv-loop", "udp"):
        return [build / "tests" / "bench" / "bench-pair", "--driver", "--link", system]
    return [driver]


# --- A run


def in_namespace(command, loss=None):
    script = "ip link set lo up && " + (f"{loss} && " if loss else "") + 'exec "$@"'
    return ["unshare", "-rn", "sh", "-c", script, "sh", *map(str, command)]


def works(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def read_bytes(pid):
    """What went over the loopback device of the process's own network, headers included."""
    for line in pathlib.Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii").splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    return 0


def read_resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def start_spinners():
    """A process for each core that gives way to everything and keeps the core from sleeping."""
    spinners = []
    parent = os.getpid()
    for core in os.sched_getaffinity(0):
        pid = os.fork()
        if pid == 0:
            os.sched_setaffinity(0, {core})
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            while os.getppid() == parent:
                for _ in range(1000000):
                    pass
            os._exit(0)
        spinners.append(pid)
    return spinners


def stop_spinners(spinners):
    for pid in spinners:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def read_idle():
    ticks = list(map(int, pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]))
    return ticks[3] + ticks[4], sum(ticks)


def wait_for_quiet(patience=10):
    """Waits for a moment in which the machine does nothing else, and returns what to say if there is none."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        idle_before, before = read_idle()
        time.sleep(0.4)
        idle, after = read_idle()
        if (idle - idle_before) >= 0.97 * (after - before):
            return []
    return ["the machine had other work"]


def count_calls(command, trials, limit, namespaces):
    """All system calls of a run of both ends, or why they can't be counted."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as counts:
        traced = ["strace", "-f", "-c", "-U", "calls,name", "-o", counts.name, *command, "pair",
                  "--trials", trials, "--seconds", 0]
        traced = in_namespace(traced) if namespaces else traced
        try:
            said = subprocess.run(list(map(str, traced)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  stdin=subprocess.DEVNULL, encoding="utf-8", timeout=limit, check=False).stdout
        except subprocess.TimeoutExpired:
            return None, f"> {limit:.0f} s under strace"
        for line in map(json.loads, said.splitlines()):
            if "cannot" in line:
                return None, line["cannot"]
        totals = [line.split()[0] for line in counts.read().splitlines() if line.endswith(" total")]
    return (int(totals[0]), None) if totals else (None, "strace counted nothing")


def run_calls(command, limit, namespaces):
    if shutil.which("strace") is None:
        return {}, ["not measured: no strace here"]
    few, why = count_calls(command, FEW_TRIALS, limit, namespaces)
    if why is None:
        many, why = count_calls(command, MANY_TRIALS, limit, namespaces)
    if why is not None:
        return {}, [why]
    return {"calls": [(many - few) / (MANY_TRIALS - FEW_TRIALS) / 2]}, []


def run_case(command, case, limit, namespaces, loss):
    if case.workload == "calls":
        return run_calls(command, limit, namespaces)
    disturbed = wait_for_quiet() if case.workload == "pair" and not case.awake else []
    spinners = start_spinners() if case.awake else []
    try:
        samples, notes = run(command, case, limit, namespaces, loss)
        return samples, notes + (disturbed if samples else [])
    finally:
        stop_spinners(spinners)


def run(command, case, limit, namespaces, loss):
    """Returns the samples by row, and what to say about it."""
    command = [*command, case.workload]
    for name, value in case.options.items():
        command += [f"--{name}", str(value)]
    if namespaces:
        command = in_namespace(command, loss if case.loss else None)

    samples, notes, part, done, begin = {}, [], None, False, 0
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL)
    end = time.monotonic() + limit + (case.options.get("seconds", 0) if case.workload == "idle" else 0)
    lines = selectors.DefaultSelector()
    lines.register(process.stdout, selectors.EVENT_READ)
    pending = b""
    while not done and (left := end - time.monotonic()) > 0:
        if not lines.select(left):
            continue
        block = os.read(process.stdout.fileno(), 65536)
        if not block:
            break
        *whole, pending = (pending + block).split(b"\n")
        for said in map(json.loads, whole):
            if "row" in said:
                samples.setdefault(said["row"], []).append(said["value"])
            elif "part" in said:
                part = said["part"]
            elif said.get("mark") == "begin" and namespaces:
                begin = read_bytes(process.pid)
            elif said.get("mark") == "end":
                if case.workload == "memory":
                    samples.setdefault("mb", []).append(read_resident_mb(process.pid))
                elif namespaces:
                    count = read_bytes(process.pid) - begin
                    if case.workload == "join":
                        samples.setdefault("bytes", []).append(count)
                    else:
                        rate = count / case.options["nodes"] / case.options["seconds"]
                        samples.setdefault("rate", []).append(rate)
            elif "note" in said:
                notes.append(said["note"])
            elif "cannot" in said:
                notes.append(said["cannot"])
                done = True
            elif "done" in said:
                done = True
    timed_out = not done and time.monotonic() >= end
    process.kill()
    process.stdout.close()
    process.wait()

    if timed_out:
        reached = "" if part is None else f", {100 * part:.0f} %"
        notes.append(f"stopped at {limit:.0f} s" if samples else f"> {limit:.0f} s{reached}")
    elif not done:
        notes.append(f"ended by itself with code {process.returncode}")
    return samples, notes


def measure(args, build):
    systems = args.systems.split(",") if args.systems else list(NAMES)
    sources = dict(text.split("=", 1) for text in args.source)
    drivers, absent = {}, {}
    cases = [c for c in make_cases(args.quick) if not args.only or any(c.name.startswith(o) for o in args.only.split(","))]
    systems = [s for s in systems if any(s in c.systems for c in cases)]
    for system in systems:
        print(f"building {NAMES[system]}", file=sys.stderr)
        drivers[system], why = find_driver(system, build, sources.get(system))
        if why is not None:
            absent[system] = why

    namespaces = works(in_namespace(["true"]))
    loss_name, loss = next(((n, c) for n, c in LOSSES.items() if namespaces and works(in_namespace(["true"], c))),
                           (None, None))
    results = {c.name: {s: {"samples": {}, "notes": [], "failures": 0} for s in systems if s in c.systems}
               for c in cases}

    for turn in range(args.rounds):
        for case in cases:
            for system, result in results[case.name].items():
                if system in absent:
                    notes = [absent[system]]
                elif case.loss and loss is None:
                    notes = ["nothing here can drop packets"]
                elif result["failures"] > 1 and not result["samples"]:
                    continue
                else:
                    print(f"{turn + 1}/{args.rounds} {case.name} {system}", file=sys.stderr)
                    command = get_command(system, drivers[system], case, build)
                    samples, notes = run_case(command, case, args.limit, namespaces, loss)
                    result["failures"] += not samples
                    for row, values in samples.items():
                        result["samples"].setdefault(row, []).extend(values)
                result["notes"] += [note for note in notes if note not in result["notes"]]

    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
        "machine": describe_machine(),
        "rounds": args.rounds,
        "limit": args.limit,
        "loss": loss_name,
        "from sources": sorted(sources),
        "rows": {c.name: c.rows for c in cases},
        "options": {c.name: c.options for c in cases},
        "results": results,
    }


def describe_machine():
    model = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


# --- The table


def show(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def print_table(data):
    print(f"{data['date']}, {data['machine']}; medians (minimum to maximum) of n samples, and the ratio to ours")
    for name, rows in data["rows"].items():
        for row, title in rows.items():
            print(f"\n{title}")
            ours = data["results"][name].get("gkv", {"samples": {}})["samples"].get(row)
            for system, result in data["results"][name].items():
                values = result["samples"].get(row)
                notes = "; ".join(result["notes"])
                if not values:
                    print(f"  {NAMES[system]:<18} {notes or 'not counted: no network namespaces here'}")
                    continue
                median = statistics.median(values)
                ratio = f"x {show(median / statistics.median(ours))}" if ours and system != "gkv" else ""
                spread = f"({show(min(values))} to {show(max(values))}; {len(values)})"
                print(f"  {NAMES[system]:<18} {show(median):>12} {spread:<30} {ratio:<10} {notes}".rstrip())


# --- The pictures


def plot(path, title, xlabel, ylabel, series, source):
    """Draws {system: [(x, y)]} on two logarithmic axes."""
    width, height, left, right, top, bottom = 720, 420, 84, 110, 50, 62
    points = [p for s in series.values() for p in s]
    x_low, x_high = min(p[0] for p in points), max(p[0] for p in points)
    y_low = 10 ** math.floor(math.log10(min(p[1] for p in points)))
    y_high = 10 ** math.ceil(math.log10(max(p[1] for p in points) * 1.05))

    def place(low, high, value, start, end):
        return start + (end - start) * math.log(value / low) / (math.log(high / low) or 1)

    def at(x, y):
        return place(x_low, x_high, x, left, width - right), place(y_low, y_high, y, height - bottom, top)

    def text(x, y, what, anchor="middle", more=""):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{what}</text>'

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
           f'font-size="13" fill="#333">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           text(left, 26, title, "start", 'font-size="16"')]
    decade = y_low
    while decade <= y_high:
        _, y = at(x_low, decade)
        out.append(f'<path d="M{left} {y:.1f}H{width - right}" stroke="#ddd"/>')
        out.append(text(left - 8, y + 4, f"{decade:,.10g}", "end"))
        decade *= 10
    for x_value in sorted({p[0] for p in points}):
        x, y = at(x_value, y_low)
        out.append(f'<path d="M{x:.1f} {y:.1f}v5" stroke="#333"/>')
        out.append(text(x, y + 19, f"{x_value:,}"))
    out.append(f'<path d="M{left} {height - bottom}H{width - right}" stroke="#333"/>')
    out.append(text((left + width - right) / 2, height - 24, xlabel))
    out.append(text(left, 43, ylabel, "start", 'fill="#666"'))
    out.append(text(width - 8, height - 7, source, "end", 'font-size="10" fill="#888"'))

    labels = []
    for system, values in series.items():
        path_data = " ".join(f"{'L' if i else 'M'}{at(*p)[0]:.1f} {at(*p)[1]:.1f}" for i, p in enumerate(values))
        out.append(f'<path d="{path_data}" fill="none" stroke="{COLOURS[system]}" stroke-width="2.5"/>')
        for p in values:
            x, y = at(*p)
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[system]}"/>')
        labels.append((at(*values[-1]), system))
    # Labels stand at the ends of their lines, but not upon each other.
    last = {}
    for (x, y), system in sorted(labels, key=lambda label: label[0][1]):
        y = max(y, last.get(round(x), -100) + 16)
        last[round(x)] = y
        out.append(text(x + 9, y + 4, NAMES[system], "start", f'fill="{COLOURS[system]}"'))
    out.append("</svg>\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(out), encoding="utf-8")


def collect(data, prefix, option, row, suffix=""):
    series = {}
    for name, results in data["results"].items():
        if name.startswith(prefix) and name.endswith(suffix):
            for system, result in results.items():
                values = result["samples"].get(row)
                if values:
                    point = (data["options"][name][option], statistics.median(values))
                    series.setdefault(system, []).append(point)
    return series


def plot_all(data):
    source = f"{data['date'][:10]}, {data['machine']}"
    pictures = [
        ("peers-spread.svg", "One write reaches every node, at defaults", "nodes", "ms, median",
         collect(data, "spread-", "nodes", "ms", "-default")),
        ("peers-bytes.svg", "Bytes on the wire while an empty node joins", "keys", "bytes, median",
         collect(data, "join-", "keys", "bytes")),
    ]
    for name, title, xlabel, ylabel, series in pictures:
        if series:
            plot(IMAGES / name, title, xlabel, ylabel, series, source)
            print(f"wrote {IMAGES / name}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path, help="meson's build folder")
    parser.add_argument("--quick", action="store_true", help="less of everything, to see that it works")
    parser.add_argument("--rounds", type=int, default=None, help="how often each system has its turn (3; quick: 1)")
    parser.add_argument("--limit", type=float, default=120, help="seconds that a run may take, idling not counted")
    parser.add_argument("--only", help="cases whose names begin so, with commas: spread,join-1000")
    parser.add_argument("--systems", help="with commas: " + ",".join(NAMES))
    parser.add_argument("--source", action="append", default=[], metavar="SYSTEM=DIR",
                        help="take a system from a checkout instead of from its registry")
    parser.add_argument("--json", type=pathlib.Path, help="write the raw figures")
    parser.add_argument("--from", dest="stored", type=pathlib.Path, help="read the raw figures, and measure nothing")
    parser.add_argument("--plot", action="store_true", help="draw the pictures in docs/images")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)

    if args.stored is not None:
        data = json.loads(args.stored.read_text(encoding="utf-8"))
    else:
        data = measure(args, args.build.resolve())
    if args.json is not None:
        args.json.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_table(data)
    if args.plot:
        plot_all(data)


if __name__ == "__main__":
    main()
