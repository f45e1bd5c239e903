/* GkvEntry: one key of the map as an object.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-entry.h"
