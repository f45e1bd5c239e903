import sys
import gi
gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv

node = Gkv.Node(cluster="tea-kitchen", bind_address="0.0.0.0:0", discovery="mdns")
node.watch(None, lambda node, key, value, origin: print(key, value or "has left", flush=True))
node.start()
node.set(sys.argv[1], "is here", ephemeral=True)
try:
    GLib.MainLoop().run()
except KeyboardInterrupt:
    pass
try:
    node.close()
except GLib.Error as error:
    print(error.message, file=sys.stderr)
