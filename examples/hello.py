import sys
import gi
gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv

node = Gkv.Node(bind_address="127.0.0.1:0", seeds=sys.argv[1:])
node.connect("changed::greeting", lambda node, key, value, origin: print(key, "=", node[key], flush=True))
node.start()
print("listening at", node.get_local_address(), flush=True)
node["greeting"] = "hello from Python"
GLib.MainLoop().run()
