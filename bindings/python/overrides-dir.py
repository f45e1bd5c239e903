"""Prints where this python looks for overrides of gi that are installed below a prefix.

Usage: overrides-dir.py PREFIX

SPDX-License-Identifier: LGPL-2.1-or-later
"""
import os
import sys
import sysconfig

prefix = sys.argv[1]
# Debian's python has folders of its own for the system and for /usr/local; below any other prefix the layout is the
# one of upstream, which python reads where PYTHONPATH names it.
special = {"/usr": "deb_system", "/usr/local": "posix_local"}.get(prefix)
if special in sysconfig.get_scheme_names():
    packages = sysconfig.get_path("purelib", special)
else:
    packages = sysconfig.get_path("purelib", "posix_prefix", {"base": prefix})
print(os.path.join(packages, "gi", "overrides"))
