/* GkvCodec: the wrapper through which every codec is called.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-codec.h"
