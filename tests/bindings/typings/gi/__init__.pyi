# As much of PyGObject's types as the examples use.
#
# SPDX-License-Identifier: LGPL-2.1-or-later
def require_version(namespace: str, version: str) -> None: ...
