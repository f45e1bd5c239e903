import multiprocessing
import gi
gi.require_version("Gkv", "1")
from gi.repository import Gkv


def work(address: str, number: int) -> None:
    node = Gkv.Node(bind_address="127.0.0.1:0", seeds=[address])
    node.start()
    node["result/%d" % number] = number ** 2
    node.flush()
    node.close()


node = Gkv.Node(bind_address="127.0.0.1:0")
node.start()
workers = [multiprocessing.Process(target=work, args=(node.get_local_address(), i)) for i in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(dict(node.items("result/")))
node.close()
