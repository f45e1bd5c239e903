"""Real processes over loopback: one is killed, the others notice, and it comes back at another port with its old id.

test-processes.py            runs the test
test-processes.py --node ID SEED...   is one of its nodes: writes what it is told on standard input, a key and a value

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import subprocess
import sys
import unittest

import gi

gi.require_version("Gkv", "1")
from gi.repository import Gio, GLib, Gkv  # noqa: E402

PATIENCE = 60


def be_node(node_id, seeds):
    node = Gkv.Node(node_id=node_id, bind_address="127.0.0.1:0", seeds=seeds)
    node.start()
    print(node.get_local_address(), flush=True)

    def on_line(stream, result):
        line, _length = stream.read_line_finish_utf8(result)
        if line is None:
            node.close()
            loop.quit()
            return
        key, value = line.split()
        if value == "-":
            del node[key]
        else:
            node[key] = value
        stream.read_line_async(GLib.PRIORITY_DEFAULT, None, on_line)

    loop = GLib.MainLoop()
    stream = Gio.DataInputStream.new(Gio.UnixInputStream.new(0, False))
    stream.read_line_async(GLib.PRIORITY_DEFAULT, None, on_line)
    loop.run()


class Process:
    def __init__(self, node_id, *seeds):
        self.process = subprocess.Popen([sys.executable, __file__, "--node", node_id, *seeds],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(PATIENCE)


class Processes(unittest.TestCase):
    def wait_until(self, condition, what):
        context = GLib.MainContext.default()
        end = GLib.get_monotonic_time() + PATIENCE * GLib.USEC_PER_SEC
        wake = GLib.timeout_add(50, lambda: GLib.SOURCE_CONTINUE)
        while not condition():
            self.assertLess(GLib.get_monotonic_time(), end, f"waited in vain until {what}")
            context.iteration(True)
        GLib.source_remove(wake)

    def get_state(self, node, node_id):
        for peer in node.props.peers:
            if peer.props.node_id == node_id:
                return peer.props.state
        return None

    def test_kill_and_return(self):
        node = Gkv.Node(bind_address="127.0.0.1:0")
        errors = []
        gone = []
        node.connect("error", lambda _node, error: errors.append(error.message))
        node.connect("peer-removed", lambda _node, peer: gone.append((peer.get_node_id(), peer.get_state())))
        node.start()
        first = Process("first", node.get_local_address())
        second = Process("second", first.address)
        self.addCleanup(second.end)

        first.tell("color blue")
        second.tell("size large")
        self.wait_until(lambda: node.get("color", None) == "blue" and node.get("size", None) == "large",
                        "both processes' writes are here")
        self.assertEqual(errors, [], "a cluster where nothing is wrong reports errors")

        first.kill()
        self.wait_until(lambda: gone == [("first", Gkv.PeerState.DEAD)], "the killed one is dead")
        self.assertIsNone(self.get_state(node, "first"))
        self.assertEqual(node["color"], "blue")
        second.tell("color -")
        self.wait_until(lambda: "color" not in node, "the key is deleted")

        again = Process("first", node.get_local_address())
        self.addCleanup(again.end)
        self.assertNotEqual(again.address, first.address)
        self.wait_until(lambda: self.get_state(node, "first") == Gkv.PeerState.ALIVE, "it is back")
        again.tell("shape round")
        self.wait_until(lambda: node.get("shape", None) == "round", "it writes again")
        self.assertNotIn("color", node)
        node.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--node"]:
        be_node(sys.argv[2], sys.argv[3:])
    else:
        unittest.main()
