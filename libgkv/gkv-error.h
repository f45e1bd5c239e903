/* GKV_ERROR: what can go wrong, as an application matches it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#if !defined(GKV_INSIDE) && !defined(GKV_COMPILATION)
#error "Only <gkv.h> can be included directly."
#endif

#include <gio/gio.h>

#include "gkv-version-macros.h"

G_BEGIN_DECLS

/**
 * GKV_ERROR:
 *
 * The error domain of this library; its codes are [error@Gkv.Error].
 */
#define GKV_ERROR (gkv_error_quark ())

/**
 * GkvError:
 * @GKV_ERROR_FAILED: something failed that no other code names
 * @GKV_ERROR_NOT_FOUND: there is no such key
 * @GKV_ERROR_CLOSED: the node has been closed
 * @GKV_ERROR_INVALID_OPTION: an option of the node can't be used; the message names it
 * @GKV_ERROR_WRONG_TYPE: the value is of another type than the one asked for
 * @GKV_ERROR_DUPLICATE_ID: another live node has this node's id
 * @GKV_ERROR_INVALID_KEY: the key is empty, or isn't UTF-8
 * @GKV_ERROR_INVALID_VALUE: the value can't be kept, for example because it is missing
 * @GKV_ERROR_INVALID_ADDRESS: an address isn't of the form "host:port"
 * @GKV_ERROR_CODEC: a codec could not encode or decode a value
 * @GKV_ERROR_TRANSPORT: the transport could not bind, send or receive
 * @GKV_ERROR_DISCOVERY: discovery could not start, or stopped working
 * @GKV_ERROR_MODULE: a module is missing, broken, or made for another version
 * @GKV_ERROR_TOO_LARGE: the key or the value is over its limit
 * @GKV_ERROR_CLOCK: a clock is too far from this node's
 *
 * The errors of this library. Timeouts and cancellation are GIO's own: %G_IO_ERROR_TIMED_OUT and
 * %G_IO_ERROR_CANCELLED.
 */
typedef enum
{
  GKV_ERROR_FAILED,
  GKV_ERROR_NOT_FOUND,
  GKV_ERROR_CLOSED,
  GKV_ERROR_INVALID_OPTION,
  GKV_ERROR_WRONG_TYPE,
  GKV_ERROR_DUPLICATE_ID,
  GKV_ERROR_INVALID_KEY,
  GKV_ERROR_INVALID_VALUE,
  GKV_ERROR_INVALID_ADDRESS,
  GKV_ERROR_CODEC,
  GKV_ERROR_TRANSPORT,
  GKV_ERROR_DISCOVERY,
  GKV_ERROR_MODULE,
  GKV_ERROR_TOO_LARGE,
  GKV_ERROR_CLOCK,
} GkvError;

#define GKV_TYPE_ERROR (gkv_error_get_type ())

GKV_AVAILABLE_IN_ALL
GType gkv_error_get_type (void);

GKV_AVAILABLE_IN_ALL
GQuark gkv_error_quark (void);

G_END_DECLS
