/* Which symbols are public, and since when.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#if !defined(GKV_INSIDE) && !defined(GKV_COMPILATION)
#error "Only <gkv.h> can be included directly."
#endif

#include <glib.h>

#include "gkv-version.h"

#ifndef _GKV_EXTERN
#define _GKV_EXTERN extern
#endif

#define GKV_AVAILABLE_IN_1_0 _GKV_EXTERN

G_BEGIN_DECLS

GKV_AVAILABLE_IN_1_0
guint gkv_get_major_version (void);

GKV_AVAILABLE_IN_1_0
guint gkv_get_minor_version (void);

GKV_AVAILABLE_IN_1_0
guint gkv_get_micro_version (void);

G_END_DECLS
