#!/usr/bin/python3
"""One process of the demo, in Python. What it reads and reports is described in demo-node.c.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import sys

import gi

gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv  # noqa: E402


def report(*words):
    print(GLib.get_monotonic_time(), *words, sep="\t", flush=True)


def on_changed(_node, key, value, origin):
    if value is None:
        report("deleted", key)
    else:
        report("changed", key, value, origin)


def on_state(peer, _pspec=None):
    report("peer", peer.get_node_id(), peer.get_state().value_nick)


def on_peer_added(_node, peer):
    on_state(peer)
    peer.connect("notify::state", on_state)


def obey(node, line):
    words = line.rstrip("\n").split("\t", 2)
    if words[0] == "set":
        report("wrote", words[1])
        node[words[1]] = words[2]
    elif words[0] == "delete":
        report("wrote", words[1])
        del node[words[1]]
    elif words[0] == "dump":
        for key in sorted(node):
            report("map", key, node[key])
        report("end")
    else:
        loop.quit()


def on_input(_channel, _condition):
    obey(node, sys.stdin.readline() or "quit")
    return GLib.SOURCE_CONTINUE


node = Gkv.Node(
    node_id=sys.argv[1],
    cluster="gkv-demo",
    bind_address="127.0.0.1:0",
    seeds=[sys.argv[2]] if sys.argv[2] else [],
    discovery="mdns" if len(sys.argv) > 3 else None,
)
node.watch(None, on_changed)
node.connect("peer-added", on_peer_added)
node.start()
report("ready", sys.argv[1], node.get_local_address())

loop = GLib.MainLoop()
GLib.io_add_watch(GLib.IOChannel.unix_new(0), GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP, on_input)
loop.run()
node.close()
