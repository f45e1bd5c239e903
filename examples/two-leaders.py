import gi
gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv

ada = Gkv.Node(node_id="ada", bind_address="127.0.0.1:0")
bela = Gkv.Node(node_id="bela", bind_address="127.0.0.1:0")

# They have not met yet. Each finds the key missing, so both succeed.
for node in ada, bela:
    name = GLib.Variant("s", node.get_node_id())
    node.compare_and_set("leader", None, name, Gkv.SetFlags.NONE, 0, None)
    print(node.get_node_id(), "has made itself the leader")

ada.start()
bela.add_seed(str(ada.get_local_address()))
bela.start()
ada.flush(1)
bela.flush(1)
print("ada sees", ada["leader"])
print("bela sees", bela["leader"])
ada.close()
bela.close()
