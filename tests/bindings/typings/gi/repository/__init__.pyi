# The namespaces of introspection; each is a module in this folder, and Gkv is in another one.
#
# SPDX-License-Identifier: LGPL-2.1-or-later
