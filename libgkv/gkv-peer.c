/* GkvPeer: another node as this one sees it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-peer.h"
