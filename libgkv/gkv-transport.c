/* GkvTransport: the wrapper through which every transport is called.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-transport.h"
