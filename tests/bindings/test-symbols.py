"""Only what is public leaves the library: its dynamic symbols all begin with gkv_.

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import subprocess
import sys

nm, library = sys.argv[1:]
lines = subprocess.run([nm, "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
symbols = [line.split()[-1].split("@")[0] for line in lines.splitlines()]
# Rooms that are private must not leak by an accident of naming either.
private = ("gkv_store_", "gkv_engine_", "gkv_record_", "gkv_link", "gkv_members_", "gkv_hash_", "gkv_put_", "gkv_reader_")
foreign = [name for name in symbols if not name.startswith("gkv_") or name.startswith(private)]

print("1..2")
print("ok 1 there are symbols" if "gkv_node_new" in symbols else "not ok 1 gkv_node_new isn't there")
print("ok 2 all are public" if not foreign else f"not ok 2 these are exported, too: {' '.join(foreign)}")
