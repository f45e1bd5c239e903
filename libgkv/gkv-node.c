/* GkvNode: the face: API, signals, threads in and main context out.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-node.h"
