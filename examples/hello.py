import sys
import gi
gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv

node = Gkv.Node(bind_address="127.0.0.1:0", seeds=sys.argv[1:])
node.connect("changed::greeting", lambda node, key, value, origin: print(key, "=", node.get(key, "nothing"), flush=True))
node.start()
print("listening at", node.get_local_address(), flush=True)
node["greeting"] = "hello from Python"
try:
    GLib.MainLoop().run()
except KeyboardInterrupt:
    pass
try:
    node.close()
except GLib.Error as error:
    print(error.message, file=sys.stderr)
