/* Keyed hashing: SipHash-2-4.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-hash.h"
