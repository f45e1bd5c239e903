"""Python programs that run no main loop, nodes and foreign threads, and processes that are forked.

test-threads.py            runs the test
test-threads.py --peer     is a peer: prints its address, then replies to the lines that it is given
test-threads.py --flood ADDRESS SECONDS    sends 10,000 datagrams a second there, garbage and what begins well

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import gc
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import threading
import time
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, GObject, Gkv  # noqa: E402

PATIENCE = 60


# The library's calls.

def set_lease(node, key, value, lifetime_ms):
    node.set_value_full(key, GLib.Variant("x", value), Gkv.SetFlags.NONE, lifetime_ms * 1000, None)


def set_ephemeral(node, key, value):
    node.set_value_full(key, GLib.Variant("x", value), Gkv.SetFlags.EPHEMERAL, 0, None)


def make_node(*seeds, **options):
    node = Gkv.Node(bind_address="127.0.0.1:0", seeds=seeds, gossip_interval=100, **options)
    node.start()
    return node


def be_peer(seeds):
    """Runs a main loop, and tells what it has seen of the other."""
    node = Gkv.Node(node_id="peer", bind_address="127.0.0.1:0", seeds=seeds, gossip_interval=100)
    seen = []

    def on_state(peer, _pspec):
        seen.append(f"{peer.props.node_id}:{peer.props.state.value_nick}")

    def on_added(_node, peer):
        seen.append(f"{peer.props.node_id}:added")
        peer.connect("notify::state", on_state)

    def on_removed(_node, peer):
        seen.append(f"{peer.props.node_id}:removed")

    node.connect("peer-added", on_added)
    node.connect("peer-removed", on_removed)
    node.start()
    print(node.get_local_address(), flush=True)

    def on_line(stream, result):
        line, _length = stream.read_line_finish_utf8(result)
        if line is None:
            loop.quit()
            return
        words = line.split()
        if words[0] == "get":
            print(node.get(words[1], "-"), flush=True)
        elif words[0] == "set":
            node[words[1]] = int(words[2])
            print("done", flush=True)
        elif words[0] == "lease":
            set_lease(node, words[1], int(words[2]), int(words[3]))
            print("done", flush=True)
        elif words[0] == "seen":
            print(" ".join(seen) or "-", flush=True)
        stream.read_line_async(GLib.PRIORITY_DEFAULT, None, on_line)

    loop = GLib.MainLoop()
    stream = Gio.DataInputStream.new(Gio.UnixInputStream.new(0, False))
    stream.read_line_async(GLib.PRIORITY_DEFAULT, None, on_line)
    loop.run()
    node.close()


def flood(address, seconds):
    host, port = address.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        # What a node of the cluster begins with: the header of what ours sends to a stranger who greets it.
        node = Gkv.Node(bind_address="127.0.0.1:0")
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.bind(("127.0.0.1", 0))
        probe.settimeout(PATIENCE)
        node.start()
        node.add_seed("127.0.0.1:%d" % probe.getsockname()[1])
        greeting = probe.recv(65536)
        node.close()
        probe.close()

        start = time.monotonic()
        n = 0
        while (passed := time.monotonic() - start) < seconds:
            while n < passed * 10000:
                n += 1
                if n % 3 == 0:
                    datagram = random.randbytes(random.randrange(1, 1200))
                elif n % 3 == 1:
                    datagram = greeting[:16] + random.randbytes(random.randrange(0, 300))
                else:
                    datagram = bytearray(greeting)
                    datagram[random.randrange(len(datagram))] = random.randrange(256)
                sender.sendto(datagram, (host, int(port)))
            time.sleep(0.001)
    print(n)


class Peer:
    def __init__(self, *seeds):
        self.process = subprocess.Popen([sys.executable, __file__, "--peer", *seeds],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Case(unittest.TestCase):
    has_loop = False

    def wait(self, condition, what):
        """Without a main loop, but where the network needs one."""
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited in vain until {what}")
            time.sleep(0.002)
            while self.has_loop and GLib.MainContext.default().iteration(False):
                pass

    def start_peer(self, *seeds):
        peer = Peer(*seeds)
        self.addCleanup(peer.end)
        return peer

    def start_pair(self, **options):
        """A node that runs no main loop, and a peer process."""
        node = make_node(**options)
        self.has_loop = options.get("network_thread") is False
        self.addCleanup(self.close, node)
        peer = self.start_peer(node.get_local_address())
        node["here"] = 1
        self.wait(lambda: peer.ask("get", "here") == "1", "the peer has joined")
        return node, peer

    def close(self, node):
        try:
            node.close()
        except GLib.Error as error:
            if not self.has_loop or not error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.WOULD_BLOCK):
                raise

    def assert_alive(self, peer, node_id):
        seen = peer.ask("seen").split()
        for state in ("dead", "left", "removed"):
            self.assertNotIn(f"{node_id}:{state}", seen)
        self.assertNotEqual([word for word in seen if word.startswith(node_id)][-1], f"{node_id}:suspect")


class WithoutLoop(Case):
    def test_full_member(self):
        node, peer = self.start_pair()
        set_ephemeral(node, "presence", 1)
        end = time.monotonic() + 12
        n = 0
        while time.monotonic() < end:
            n += 1
            peer.ask("set", "from-peer", n)
            self.wait(lambda: node.get("from-peer") == n, "what the peer wrote is here")
            node["from-here"] = n
            self.wait(lambda: peer.ask("get", "from-here") == str(n), "what was written here is there")
            set_lease(node, "lease", n, 200)
            peer.ask("lease", "peers-lease", n, 200)
            self.wait(lambda: "lease" not in node and peer.ask("get", "lease") == "-", "the lease has ended")
            self.wait(lambda: "peers-lease" not in node and peer.ask("get", "peers-lease") == "-",
                      "the peer's lease has ended")
            time.sleep(0.2)
        self.assertEqual(peer.ask("get", "presence"), "1")
        self.assertEqual(len(node), len(list(node)))
        node.flush(1, 30000)
        self.assert_alive(peer, node.get_node_id())

    def test_last_reference_elsewhere(self):
        """The last reference is dropped in a thread, with handlers of Python's connected."""
        for _turn in range(20):
            node, peer = make_node(), make_node()
            peer.add_seed(node.get_local_address())
            calls = []
            node.connect("changed", lambda *args: calls.append(args))
            node.connect("peer-added", lambda *args: calls.append(args))
            peer["key"] = 1
            self.wait(lambda: node.get("key") == 1, "the value has come")
            address = node.get_local_address()
            thread = threading.Thread(target=lambda box: (box.clear(), gc.collect()), args=([node],))
            del node
            thread.start()
            thread.join()
            self.wait(lambda: self.is_free(address), "the port is free")
            context = GLib.MainContext.default()
            while context.iteration(False):
                pass
            peer.close()

    def is_free(self, address):
        host, port = address.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, int(port)))
            except OSError:
                return False
        return True


class PythonTransport(GObject.Object, Gkv.Transport):
    """One that notes the threads in which it is called, around a transport "udp"."""

    def __init__(self, threads):
        super().__init__()
        self.threads = threads
        self.udp = Gkv.Transport.new_for_name("udp")
        self.udp.connect("received", self.on_received)

    def note(self):
        self.threads.add(threading.get_ident())

    def on_received(self, _udp, address, datagram):
        self.note()
        self.emit_received(address, datagram)

    def do_open(self, bind_address):
        self.note()
        return self.udp.open(bind_address)

    def do_close(self):
        self.note()
        self.udp.close()

    def do_get_local_address(self):
        self.note()
        return self.udp.get_local_address()

    def do_get_max_datagram_size(self):
        self.note()
        return self.udp.get_max_datagram_size()

    def do_send(self, address, datagram):
        self.note()
        return self.udp.send(address, datagram)

    def do_flush(self):
        self.note()
        return self.udp.flush()

    def do_normalize(self, address, use):
        self.note()
        return self.udp.normalize(address, use)


class PythonDiscovery(GObject.Object, Gkv.Discovery):
    def __init__(self, threads, seed):
        super().__init__()
        self.threads = threads
        self.seed = seed

    def do_start(self, cluster, node_id, address):
        self.threads.add(threading.get_ident())
        self.emit_found("peer", self.seed)
        return True

    def do_stop(self):
        self.threads.add(threading.get_ident())


class InPython(Case):
    def test_own_thread(self):
        """What is written in Python is called in the thread of the node's main context, whoever reads and writes."""
        threads = set()
        peer = make_node()
        node = Gkv.Node(bind_address="127.0.0.1:0", cluster="default", gossip_interval=100,
                        transport=PythonTransport(threads), discovery=PythonDiscovery(threads, peer.get_local_address()))
        node.start()
        context = GLib.MainContext.default()

        def write(which, name):
            for i in range(200):
                which[f"{name}/{i}"] = i

        writers = [threading.Thread(target=write, args=(node, "a")), threading.Thread(target=write, args=(peer, "b"))]
        for writer in writers:
            writer.start()
        end = time.monotonic() + PATIENCE
        while len(node) < 400 or len(peer) < 400:
            self.assertLess(time.monotonic(), end)
            context.iteration(False)
        for writer in writers:
            writer.join()
        self.has_loop = True
        # The peer waits until this node, which runs here, has said that it has everything.
        closed = []
        peer.close_async(None, lambda peer, result: closed.append(peer.close_finish(result)))
        while closed != [True]:
            self.assertLess(time.monotonic(), end)
            context.iteration(True)
        self.close(node)
        self.assertEqual(threads, {threading.get_ident()})


# Forking. What runs in a child is below, where it ends with os._exit () and its status tells.

def use_parents_node(node):
    """All of a mapping's methods, and more, on a node of the parent's."""
    def refuse(call):
        try:
            call()
        except GLib.Error as error:
            assert error.matches(Gkv.Error.quark(), Gkv.Error.CLOSED), error
        else:
            raise AssertionError("wasn't refused")

    def assign(key):
        node[key] = 1

    def remove(key):
        del node[key]

    refuse(lambda: node["here"])
    refuse(lambda: assign("child"))
    refuse(lambda: remove("here"))
    refuse(lambda: node.start())
    refuse(lambda: node.flush(1, 100))
    refuse(lambda: node.wait_synced(100))
    refuse(lambda: node.add_seed("127.0.0.1:1"))
    assert "here" not in node
    assert len(node) == 0
    assert list(node) == []
    assert list(node.keys()) == []
    assert not node.contains("here")
    assert node.get_n_keys() == 0
    assert node.lookup("here") is None
    assert node.get_entry("here") is None
    assert node.get_local_address() is None
    assert node.get_stats() is not None
    assert not node.get_synced()
    context = GLib.MainContext.default()
    while context.iteration(False):
        pass
    node.close()


def be_child(node, seed):
    use_parents_node(node)
    del node
    gc.collect()
    own = make_node(seed)
    own["child"] = os.getpid()
    own.flush(1, 30000)
    end = time.monotonic() + PATIENCE
    while own.get("here") != 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    own.close()


def be_spawned(seed):
    own = make_node(seed)
    own["spawned"] = os.getpid()
    own.flush(1, 30000)
    own.close()


class Forks(Case):
    def keep_busy(self, node):
        """Has the worker receive all the time."""
        stop = threading.Event()
        host, port = node.get_local_address().rsplit(":", 1)

        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                while not stop.is_set():
                    for _i in range(20):
                        sender.sendto(random.randbytes(60), (host, int(port)))
                    time.sleep(0.0005)

        thread = threading.Thread(target=send)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)

    def fork(self, node, func, *args):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                func(*args)
                status = 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(status)
        return child

    def reap(self, child):
        end = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid != 0:
                break
            if time.monotonic() > end:
                os.kill(child, 9)
                os.waitpid(child, 0)
                self.fail("the child is stuck")
            time.sleep(0.01)
        self.assertEqual(status, 0)

    def run_fork(self, **options):
        node, peer = self.start_pair(**options)
        node.connect("changed", lambda *_args: None)
        for _turn in range(5):
            child = self.fork(node, be_child, node, peer.address)
            self.wait(lambda: peer.ask("get", "child") == str(child), "the child has joined")
            self.reap(child)
        self.assert_alive(peer, node.get_node_id())
        node["after"] = 1
        self.wait(lambda: peer.ask("get", "after") == "1", "the parent goes on")

    def test_fork(self):
        self.run_fork()

    def test_fork_without_thread(self):
        self.run_fork(network_thread=False)

    def test_fork_busy(self):
        """Many forks while the worker is at work: no child finds a lock that is held for ever."""
        node, peer = self.start_pair()
        self.keep_busy(node)
        for turn in range(100):
            self.reap(self.fork(node, use_parents_node, node))
            if turn % 10 == 0:
                self.reap(self.fork(node, be_child, node, peer.address))
        self.assert_alive(peer, node.get_node_id())
        node["after"] = 1
        self.wait(lambda: peer.ask("get", "after") == "1", "the parent goes on")

    def test_port(self):
        """A child that lives on does not hold the port."""
        node = make_node()
        address = node.get_local_address()
        read, write = os.pipe()
        begun, begin = os.pipe()
        child = self.fork(node, lambda: (os.close(write), os.write(begin, b"."), os.read(read, 1)))
        # It gives the socket up when it begins to run.
        os.read(begun, 1)
        node.close()
        again = Gkv.Node(bind_address=address)
        again.start()
        again.close()
        os.close(write)
        self.reap(child)
        for end in (read, begun, begin):
            os.close(end)

    def test_multiprocessing(self):
        node, peer = self.start_pair()
        self.keep_busy(node)
        for method, func, args, key in (("fork", be_child, (node, peer.address), "child"),
                                        ("spawn", be_spawned, (peer.address,), "spawned")):
            process = multiprocessing.get_context(method).Process(target=func, args=args)
            process.start()
            process.join(PATIENCE)
            self.assertEqual(process.exitcode, 0)
            self.assertEqual(peer.ask("get", key), str(process.pid))
        self.assert_alive(peer, node.get_node_id())

    def test_subprocess(self):
        node, peer = self.start_pair()
        self.keep_busy(node)
        for _turn in range(20):
            self.assertEqual(subprocess.run([sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE).stdout, b"1\n")
        self.assert_alive(peer, node.get_node_id())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        be_peer(sys.argv[2:])
    elif sys.argv[1:2] == ["--flood"]:
        flood(sys.argv[2], float(sys.argv[3]))
    else:
        unittest.main()
