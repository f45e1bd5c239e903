#!/usr/bin/python3
"""The demo: three processes in three languages share a map, and a fourth finds them by mDNS alone.

It starts them, has each write, shows who saw it and when, kills one, deletes a key, and compares the maps at the end.
All of it happens in a network namespace, so that no packet leaves the machine. Where none can be made, as in some
containers, all goes over the loopback interface, and the fourth is given an address. Usage: demo.py BUILD-FOLDER

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import os
import queue
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
COLOURS = {"ada": 36, "bela": 33, "cleo": 35, "dora": 32}
PLAIN = not sys.stdout.isatty() or "NO_COLOR" in os.environ


def paint(name):
    if PLAIN or name not in COLOURS:
        return name
    return "\033[%dm%s\033[0m" % (COLOURS[name], name)


def headline(text):
    print("\n%s" % (text if PLAIN else "\033[1m%s\033[0m" % text), flush=True)


def say(text):
    print("  " + text, flush=True)


class Failure(Exception):
    """What the demo promised didn't happen."""


class Process:
    """One node: a program in one of the languages, and what it reports."""

    def __init__(self, name, language, command, seed, events, mdns=False):
        self.name = name
        self.language = language
        arguments = [name, seed] + (["mdns"] if mdns else [])
        self.popen = subprocess.Popen(
            command + arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.map = {}
        self.alive = True
        threading.Thread(target=self.read, args=(events,), daemon=True).start()

    def read(self, events):
        for line in self.popen.stdout:
            at, *words = line.rstrip("\n").split("\t")
            events.put((int(at), self, words))
        events.put((0, self, ["gone"]))

    def order(self, *words):
        self.popen.stdin.write("\t".join(words) + "\n")
        self.popen.stdin.flush()


class Demo:
    def __init__(self, build, mdns):
        self.build = build
        self.mdns = mdns
        self.events = queue.Queue()
        self.kept = []
        self.processes = []

    def start(self, name, language, command, how, seed="", mdns=False):
        process = Process(name, language, command, seed, self.events, mdns)
        self.processes.append(process)
        words = self.wait(lambda p, w: p is process and w[0] == "ready", "%s to start" % name)[2]
        say("%s (%s) at %s, %s" % (paint(name), language, words[2], how))
        return process, words[2]

    def wait(self, wanted, what, seconds=30):
        """Gives the first event that is wanted, and keeps the others: one may come before it is waited for."""
        for index, (_, process, words) in enumerate(self.kept):
            if wanted(process, words):
                return self.kept.pop(index)
        end = time.monotonic() + seconds
        while True:
            try:
                at, process, words = self.events.get(timeout=max(end - time.monotonic(), 0.001))
            except queue.Empty:
                raise Failure("waited %d s in vain for %s" % (seconds, what)) from None
            if words[0] == "gone" and process.alive:
                raise Failure("%s ended by itself" % process.name)
            if words[0] == "error":
                raise Failure("%s: %s" % (process.name, words[1]))
            if wanted(process, words):
                return at, process, words
            self.kept.append((at, process, words))

    def living(self):
        return [process for process in self.processes if process.alive]

    def write(self, writer, verb, *words):
        """Has one write, and shows how soon the others see it."""
        key = words[0]
        writer.order(verb, *words)
        start = self.wait(lambda p, w: p is writer and w[:2] == ["wrote", key], "the write")[0]
        what = "writes %s = %s" % (key, words[1]) if verb == "set" else "deletes %s" % key
        say("%s (%s) %s" % (paint(writer.name), writer.language, what))
        expected = ["changed", key, words[1]] if verb == "set" else ["deleted", key]
        missing = set(self.living()) - {writer}
        while missing:
            at, process, _ = self.wait(lambda p, w: p in missing and w[:len(expected)] == expected,
                                       "%s to see it" % ", ".join(p.name for p in missing))
            missing.discard(process)
            say("    %s (%s) saw it after %.1f ms" % (paint(process.name), process.language, (at - start) / 1000))

    def expect_peers(self, process, names):
        missing = set(names)
        while missing:
            words = self.wait(lambda p, w: p is process and w[0] == "peer" and w[1] in missing and w[2] == "alive",
                              "%s to meet %s" % (process.name, ", ".join(missing)))[2]
            missing.discard(words[1])

    def kill(self, victim):
        victim.alive = False
        victim.popen.send_signal(signal.SIGKILL)
        start = time.monotonic()
        say("%s is killed" % paint(victim.name))
        missing = set(self.living())
        while missing:
            _, process, _ = self.wait(lambda p, w: p in missing and w == ["peer", victim.name, "dead"],
                                      "the others to notice")
            missing.discard(process)
            say("    %s (%s) noticed after %.1f s" % (paint(process.name), process.language, time.monotonic() - start))

    def pause(self, process, go_on):
        process.popen.send_signal(signal.SIGCONT if go_on else signal.SIGSTOP)

    def compare(self):
        """Shows every map, and says whether all are the same."""
        maps = {}
        for process in self.living():
            process.order("dump")
            maps[process.name] = {}
            while True:
                words = self.wait(lambda p, w: p is process and w[0] in ("map", "end"), "the map of " + process.name)[2]
                if words[0] == "end":
                    break
                maps[process.name][words[1]] = words[2]
        for name, content in maps.items():
            say("%s: %s" % (paint(name), ", ".join("%s = %s" % item for item in sorted(content.items()))))
        if any(content != next(iter(maps.values())) for content in maps.values()):
            raise Failure("the maps differ")
        return next(iter(maps.values()))

    def run(self):
        headline("Three processes, three languages; two know only the first's address")
        ada, address = self.start("ada", "C", [os.path.join(self.build, "examples/demo/demo-node")],
                                  "the first, announced by mDNS" if self.mdns else "the first", mdns=self.mdns)
        bela, _ = self.start("bela", "Python", ["/usr/bin/python3", os.path.join(HERE, "demo-node.py")],
                             "which knows only that address", address)
        cleo, _ = self.start("cleo", "JavaScript", ["gjs", os.path.join(HERE, "demo-node.js")],
                             "which knows only that address", address)
        self.expect_peers(cleo, ["ada", "bela"])
        say("all know each other: bela and cleo learnt of each other from ada")

        headline("Each writes, each watches")
        self.write(ada, "set", "greeting", "hello from C")
        self.write(bela, "set", "colour", "blue, says Python")
        self.write(cleo, "set", "greeting", "hello from JavaScript")

        if self.mdns:
            headline("A fourth, with no address at all: it finds the others by mDNS")
        else:
            headline("A fourth, which comes late")
        begin = time.monotonic()
        dora, _ = self.start("dora", "Python", ["/usr/bin/python3", os.path.join(HERE, "demo-node.py")],
                             "which knows nobody" if self.mdns else "which knows only the first's address",
                             "" if self.mdns else address, mdns=self.mdns)
        seen = set()
        while seen != {"greeting", "colour"}:
            words = self.wait(lambda p, w: p is dora and w[0] == "changed", "dora to be filled")[2]
            seen.add(words[1])
            say("    %s got %s = %s, written by %s" % (paint("dora"), words[1], words[2], paint(words[3])))
        say("    after %.1f s" % (time.monotonic() - begin))
        self.write(dora, "set", "late", "but here")

        headline("One is killed without a word")
        self.kill(bela)

        headline("A key is deleted while one is asleep, and stays deleted when that one wakes")
        self.pause(cleo, False)
        cleo.alive = False
        self.write(ada, "delete", "colour")
        time.sleep(1)
        cleo.alive = True
        self.pause(cleo, True)
        self.wait(lambda p, w: p is cleo and w == ["deleted", "colour"], "cleo to receive that")
        say("%s wakes, still has it, and learns that it was deleted" % paint("cleo"))

        headline("In the end all maps are the same")
        time.sleep(3)
        if "colour" in self.compare():
            raise Failure("the deleted key has come back")

    def stop(self):
        for process in self.processes:
            process.alive = False
            process.popen.kill()
            process.popen.wait()


def main():
    build = os.path.abspath(sys.argv[1])
    if "GKV_DEMO_MDNS" not in os.environ:
        inside = os.path.join(TOP, "tests/discovery/in-namespace")
        check = subprocess.run([inside, "--check"], stderr=subprocess.PIPE, text=True, check=False)
        if check.returncode != 0:
            print("The part with mDNS is left out: %s" % check.stderr.strip(), flush=True)
        os.environ.update({
            "GKV_DEMO_MDNS": "1" if check.returncode == 0 else "",
            "GKV_MODULE_PATH": os.path.join(build, "plugins/modules"),
            "LD_LIBRARY_PATH": os.path.join(build, "libgkv"),
            "GI_TYPELIB_PATH": os.path.join(build, "libgkv"),
            "PYTHONPATH": os.path.join(TOP, "bindings/python"),
            "GJS_PATH": os.path.join(TOP, "bindings/gjs"),
        })
        command = [sys.executable, os.path.abspath(__file__), build]
        if check.returncode == 0:
            command.insert(0, inside)
        os.execv(command[0], command)

    demo = Demo(build, mdns=os.environ["GKV_DEMO_MDNS"] != "")
    begin = time.monotonic()
    try:
        demo.run()
    except Failure as failure:
        print("\nThe demo failed: %s" % failure, flush=True)
        return 1
    finally:
        demo.stop()
    print("\n  Done in %.0f s." % (time.monotonic() - begin), flush=True)
    return 0


sys.exit(main())
