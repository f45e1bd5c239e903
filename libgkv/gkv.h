/* The one header that an application includes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#define GKV_INSIDE

#include "gkv-version.h"
#include "gkv-version-macros.h"
#include "gkv-error.h"
#include "gkv-module.h"
#include "gkv-codec.h"
#include "gkv-transport.h"
#include "gkv-discovery.h"
#include "gkv-entry.h"
#include "gkv-peer-state.h"
#include "gkv-peer.h"
#include "gkv-node.h"

#undef GKV_INSIDE
