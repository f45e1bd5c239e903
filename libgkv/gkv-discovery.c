/* GkvDiscovery: the wrapper through which every discovery is called.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-discovery.h"
