"""What the tests of discovery are made of: processes whose output is waited for, and a stage that starts and ends them.

Every process runs below in-namespace, so that no packet leaves the machine and no daemon of the machine takes part.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

# How long anything may take. Nothing is judged by the time it takes: mDNS waits for seconds at times, machines too.
PATIENCE = 60

IN_NAMESPACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "in-namespace")


class Skip(Exception):
    pass


def say(line):
    """In one piece, as threads write, too."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Process:
    """A program whose lines of output can be waited for."""

    def __init__(self, arguments, environment=None):
        self.name = " ".join(arguments[-3:])
        self.lines = []
        self.changed = threading.Condition()
        self.popen = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      env={**os.environ, **(environment or {})})
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.popen.stdout:
            say(f"# {self.name[-60:]} | {line.rstrip()}")
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify_all()

    def count(self, pattern):
        return sum(1 for line in self.lines if re.search(pattern, line))

    def wait(self, pattern, times=1):
        """Waits until that many lines match."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count(pattern) >= times, PATIENCE):
                raise AssertionError(f"{self.name}: no '{pattern}' (times {times}) in {self.lines}")

    def wait_last(self, line):
        """Waits until this is the last line about what it is about, which is all but its first word."""
        about = line.partition(" ")[2]
        with self.changed:
            if not self.changed.wait_for(lambda: [said for said in self.lines if said.partition(" ")[2] == about][-1:] == [line],
                                         PATIENCE):
                raise AssertionError(f"{self.name}: '{line}' isn't the last of its kind in {self.lines}")

    def never(self, pattern):
        assert self.count(pattern) == 0, f"{self.name}: '{pattern}' in {self.lines}"

    def say(self, command):
        self.popen.stdin.write(command + "\n")
        self.popen.stdin.flush()

    def quit(self):
        """Ends a discover, which must leave nothing behind."""
        self.say("quit")
        self.wait("^ended$")
        assert self.popen.wait(PATIENCE) == 0, f"{self.name}: exit {self.popen.returncode}"

    def kill(self):
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


class Stage(contextlib.ExitStack):
    """Starts what a scenario needs, and ends it."""

    def __init__(self, program):
        super().__init__()
        self.program = program
        self.folder = self.enter_context(tempfile.TemporaryDirectory(prefix="gkv-discovery-"))

    def start(self, arguments, environment=None):
        process = Process(arguments, environment)
        self.callback(process.kill)
        return process

    def write(self, name, text):
        """Writes a file in the stage's folder, all or nothing, and gives its path."""
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)
        return path


def wait_until(condition, what):
    """Waits for what no process says."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"there is no {what}")
        time.sleep(0.01)


def need(tool):
    if not (shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")):
        raise Skip(f"needs {tool}")


def need_success(command, why):
    """Skips where the machine doesn't allow what a test is built on."""
    probe = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if probe.returncode != 0:
        raise Skip(f"{why} ({probe.stderr.strip()})")


def need_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        raise Skip(f"needs IPv6, which this machine hasn't ({error})") from None


def main(stage_class, scenarios):
    """Plays the scenario that the command line names: "TEST SCENARIO PROGRAM". Speaks TAP."""
    scenario, program = sys.argv[1:3]

    if "GKV_TEST_INSIDE" not in os.environ:
        check = subprocess.run([IN_NAMESPACE, "--check"], stderr=subprocess.PIPE, text=True, check=False)
        if check.returncode != 0:
            say(f"1..0 # SKIP {check.stderr.strip()}")
            return
        os.environ["GKV_TEST_INSIDE"] = "1"
        os.execv(IN_NAMESPACE, [IN_NAMESPACE, sys.executable, *sys.argv])

    n_tests = 0
    began = time.monotonic()
    with stage_class(program) as stage:
        try:
            for description in scenarios[scenario](stage):
                n_tests += 1
                say(f"ok {n_tests} - {description}")
                say(f"# after {time.monotonic() - began:.1f} s")
        except Skip as reason:
            n_tests += 1
            say(f"ok {n_tests} # SKIP {reason}")
        except (AssertionError, subprocess.SubprocessError) as error:
            n_tests += 1
            say(f"not ok {n_tests}")
            say("# " + str(error).replace("\n", "\n# "))
    say(f"1..{n_tests}")
