/* Which symbols are public, and since when.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

#include "gkv-version.h"

#ifndef _GKV_EXTERN
#define _GKV_EXTERN extern
#endif

#define GKV_AVAILABLE_IN_ALL _GKV_EXTERN
