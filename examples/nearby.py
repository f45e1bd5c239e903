import sys
import gi
gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv

node = Gkv.Node(cluster="tea-kitchen", bind_address="0.0.0.0:0", discovery="mdns")
node.connect("changed", lambda node, key, value, origin: print(key, node.get(key), flush=True))
node.start()
node[sys.argv[1]] = "is here"
GLib.MainLoop().run()
