"""A minimal Debian in a folder, to try things in where nothing else is.

The base system is made once in a week, from this machine's own sources of apt, and kept as a tar file below the cache
folder. It is unpacked into a new folder, which is removed at the end. What runs in there has a mount and a process
namespace of its own: no mount is seen outside, and no process outlives its command. Apt's sources are all that is
reached over the network.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import contextlib
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gkv", "fresh")
KEPT_FOR = 7 * 24 * 60 * 60

# How long one command may take.
COMMAND_PATIENCE = 30 * 60


class Skip(Exception):
    """A root can't be made here."""


class Failure(Exception):
    """Something isn't as it was promised."""


def say(text):
    print(text, flush=True)


# Inside the root

def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def enter(outer, root, user, networked, command):
    """Makes @root the root of this process, which is alone in new namespaces, and becomes the command."""
    # In a mount namespace that others share, it would be the root of all of them.
    if os.getpid() != 1 or os.readlink("/proc/self/ns/mnt") == outer:
        sys.exit("fresh_root.py: --enter is for itself")
    if not networked:
        # A network with one address that others could reach, but no way out.
        for line in ("link set lo up multicast on", "link add gkv0 type veth peer name gkv1", "link set gkv1 up",
                     "address add 10.9.0.1/24 dev gkv0", "link set gkv0 up"):
            subprocess.run(["ip", *line.split()], check=True)

    # What isn't a mount point can't become a root.
    mount("--bind", root, root)
    os.chdir(root)
    mount("-t", "proc", "proc", "proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        open("dev/" + name, "w", encoding="ascii").close()
        mount("--bind", "/dev/" + name, "dev/" + name)
    for name in ("pts", "shm"):
        os.mkdir("dev/" + name)
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620", "devpts", "dev/pts")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "dev/shm")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "run")
    for link, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"),
                         ("stderr", "fd/2")):
        os.symlink(target, "dev/" + link)

    # A root that is only changed to ("chroot") would keep an ordinary user from making namespaces.
    os.makedirs("mnt/old", exist_ok=True)
    home = "/root" if user == "root" else "/home/" + user
    environment = {"HOME": home, "USER": user, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    environment.update({name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ})
    subprocess.run(["pivot_root", ".", "mnt/old"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/mnt/old"], env=environment, check=True)
    if user != "root":
        os.setgroups([])
        os.setgid(1000)
        os.setuid(1000)
    os.chdir(home + "/libgkv")
    os.execve("/bin/sh", ["sh", "-c", command], environment)


def get_entry(root, user, networked, command):
    """The command line for a command inside of @root."""
    namespaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private"]
    return ["unshare", *namespaces, *([] if networked else ["--net"]),
            sys.executable, os.path.abspath(__file__), "--enter", os.readlink("/proc/self/ns/mnt"),
            root, user, "yes" if networked else "no", command]


# The base system

def list_sources():
    """The lines of sources.list for this distribution's own archives, as apt has them configured."""
    release = platform.freedesktop_os_release()
    targets = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"]
    for attempt in range(2):
        found = sorted(set(subprocess.run(targets, check=True, capture_output=True, text=True).stdout.splitlines()))
        lines = ["deb %s %s %s" % tuple(line.split("|")[1:]) for line in found
                 if line.split("|")[0].lower() == release["ID"]]
        if lines or attempt == 1:
            break
        # Where nothing was fetched yet, apt doesn't know whose archives these are.
        subprocess.run(["apt-get", "update", "-qq"], check=False)
    if not lines:
        raise Skip("apt has no source of the distribution '%s' itself" % release["ID"])
    return release["VERSION_CODENAME"], lines


def make_base(path):
    """Makes the tar file of a minimal system."""
    suite, sources = list_sources()
    include = ["--include=ca-certificates"] if any(" https:" in line for line in sources) else []
    say("Making a minimal system of %s, which is kept for a week" % suite)
    with tempfile.TemporaryDirectory(prefix="gkv-base-") as folder:
        root = os.path.join(folder, "root")
        made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", *include, suite, root, *sources],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if made.returncode != 0:
            raise Skip("mmdebstrap failed: %s" % " / ".join(made.stdout.strip().splitlines()[-3:]))

        def write(name, text):
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)

        write("etc/apt/sources.list", "\n".join(sources) + "\n")
        # How this machine's apt reaches them, such as through a proxy.
        write("etc/apt/apt.conf.d/90host", subprocess.run(["apt-config", "dump", "Acquire"], check=True,
                                                          capture_output=True, text=True).stdout)
        # Nobody is there to be asked, and no daemon is to start.
        write("etc/apt/apt.conf.d/91fresh", 'APT::Get::Assume-Yes "true";\n')
        write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        os.chmod(os.path.join(root, "usr/sbin/policy-rc.d"), 0o755)
        subprocess.run(["tar", "-C", root, "--one-file-system", "--numeric-owner", "--exclude=./var/cache/apt/*.bin",
                        "--exclude=./var/cache/apt/archives/*.deb", "--exclude=./dev/*", "-cf", path + ".new", "."],
                       check=True)
        os.replace(path + ".new", path)


@contextlib.contextmanager
def get_base():
    """Gives the path of the tar file, which nobody replaces meanwhile."""
    os.makedirs(CACHE, exist_ok=True)
    path = os.path.join(CACHE, "base-%s.tar" % platform.machine())
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path) or time.time() - os.path.getmtime(path) > KEPT_FOR:
            make_base(path)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield path


class Root:
    """A fresh system with a copy of this repository."""

    def __init__(self, base, stack):
        self.folder = tempfile.mkdtemp(prefix="gkv-fresh-")
        stack.callback(subprocess.run, ["rm", "-rf", "--one-file-system", self.folder], check=False)
        os.chmod(self.folder, 0o755)
        subprocess.run(["tar", "-C", self.folder, "--numeric-owner", "-xf", base], check=True)
        with contextlib.suppress(OSError):
            shutil.copy("/etc/resolv.conf", os.path.join(self.folder, "etc/resolv.conf"))
        self.copy_sources("root")

    def copy_sources(self, home):
        """What a clone would have, and what is new in the work tree."""
        target = os.path.join(self.folder, home, "libgkv")
        os.makedirs(target)
        files = subprocess.run(["git", "-c", "safe.directory=" + TOP, "-C", TOP, "ls-files", "-z", "--cached", "--others",
                                "--exclude-standard", "--deduplicate"], check=True, capture_output=True).stdout
        files = b"\0".join(name for name in files.split(b"\0") if os.path.lexists(os.path.join(os.fsencode(TOP), name)))
        tar = subprocess.run(["tar", "-C", TOP, "--null", "--no-recursion", "-T", "-", "-cf", "-"], input=files, check=True,
                             capture_output=True).stdout
        subprocess.run(["tar", "-C", target, "--no-same-owner", "-xf", "-"], input=tar, check=True)

    @contextlib.contextmanager
    def start(self, command, patience, user="root", networked=True, stderr=None):
        """Gives the process of a command, which is ended after so many seconds, and when it is left."""
        process = subprocess.Popen(get_entry(self.folder, user, networked, command), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True)
        timer = threading.Timer(patience, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()
            process.wait()

    def run(self, command, user="root"):
        """Runs a command to its end, and shows what it prints."""
        say("%s %s" % ("#" if user == "root" else "$", command))
        with self.start(command, COMMAND_PATIENCE, user, stderr=subprocess.STDOUT) as process:
            for line in process.stdout:
                say("  | " + line.rstrip())
            if process.wait() != 0:
                raise Failure("'%s' failed" % command)

    def list_packages(self, asked_for):
        """Those that are installed, or of these only those that somebody asked for."""
        command = "apt-mark showmanual" if asked_for else "dpkg-query -W -f '${Package}\\n'"
        return set(subprocess.run(get_entry(self.folder, "root", True, command), check=True, capture_output=True,
                                  text=True).stdout.split())


def check_possible():
    if os.geteuid() != 0:
        raise Skip("it takes root to make a system to try it in")
    if shutil.which("apt-get") is None:
        raise Skip("it takes apt, of Debian or one of its kin")
    with tempfile.TemporaryDirectory(prefix="gkv-probe-") as folder:
        probe = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "--propagation", "private", "sh", "-c",
                                "mount --bind \"$0\" \"$0\" && mount -t proc proc \"$0\"", folder],
                               capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        raise Skip("namespaces and mounts can't be made here (%s)" % probe.stderr.strip())


if __name__ == "__main__" and sys.argv[1:2] == ["--enter"]:
    enter(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5] == "yes", sys.argv[6])
