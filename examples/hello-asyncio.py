import asyncio
import sys
import threading
import gi
gi.require_version("Gkv", "1")
from gi.repository import GLib, Gkv


async def main() -> None:
    loop = asyncio.get_running_loop()
    changes: asyncio.Queue = asyncio.Queue()
    node = Gkv.Node(bind_address="127.0.0.1:0", seeds=sys.argv[1:])

    # This is called in the thread below.
    def on_changed(node, key, value, origin):
        loop.call_soon_threadsafe(changes.put_nowait, (key, value))

    node.watch("greeting", on_changed)
    node.start()
    glib = GLib.MainLoop()
    thread = threading.Thread(target=glib.run)
    thread.start()

    print("listening at", node.get_local_address(), flush=True)
    node["greeting"] = "hello from asyncio"
    try:
        while True:
            key, value = await changes.get()
            print(key, "=", value, flush=True)
    finally:
        glib.quit()
        thread.join()
        await node.close_async()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
except GLib.Error as error:
    print(error.message, file=sys.stderr)
