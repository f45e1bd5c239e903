/* GKV_ERROR: the error domain, with the codes that applications match.
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
 * The error domain of this library; its codes are [error@Gkv.Error]. Its quark is the string "gkv-error-quark".
 *
 * Since: 1.0
 */
#define GKV_ERROR (gkv_error_quark ())

/**
 * GkvError:
 * @GKV_ERROR_FAILED: something failed that no other code names
 * @GKV_ERROR_NOT_FOUND: there is no such key
 * @GKV_ERROR_EXISTS: the key is there already
 * @GKV_ERROR_MISMATCH: the key has another value than the one expected
 * @GKV_ERROR_CLOSED: the node has been closed, or belongs to the process that this one was forked from
 * @GKV_ERROR_WRONG_THREAD: the call belongs to the thread that owns the node
 * @GKV_ERROR_INVALID_OPTION: an option of the node can't be used; the message names it
 * @GKV_ERROR_WRONG_TYPE: the value is of another type than the one requested
 * @GKV_ERROR_DUPLICATE_ID: another node that is alive has this node's id
 * @GKV_ERROR_INVALID_KEY: the key is empty, or isn't UTF-8
 * @GKV_ERROR_INVALID_VALUE: the value can't be kept, for example because it is missing, or the lifetime is negative
 * @GKV_ERROR_INVALID_ADDRESS: an address can't be parsed, or can't serve its use
 * @GKV_ERROR_CODEC: a codec could not encode or decode a value
 * @GKV_ERROR_TRANSPORT: the transport could not bind, send or receive
 * @GKV_ERROR_DISCOVERY: discovery could not start, or stopped working
 * @GKV_ERROR_MODULE: a module is missing, broken, or made for another version
 * @GKV_ERROR_TOO_LARGE: the key or the value is over its limit
 * @GKV_ERROR_CLOCK: the clocks of two nodes differ by more than an hour
 *
 * The errors of this library. Timeouts and cancellation are GIO's own: %G_IO_ERROR_TIMED_OUT and
 * %G_IO_ERROR_CANCELLED.
 *
 * The numbers never change; later versions may add to them.
 *
 * Since: 1.0
 */
typedef enum
{
  GKV_ERROR_FAILED = 0,
  GKV_ERROR_NOT_FOUND = 1,
  GKV_ERROR_EXISTS = 2,
  GKV_ERROR_MISMATCH = 3,
  GKV_ERROR_CLOSED = 4,
  GKV_ERROR_WRONG_THREAD = 5,
  GKV_ERROR_INVALID_OPTION = 6,
  GKV_ERROR_WRONG_TYPE = 7,
  GKV_ERROR_DUPLICATE_ID = 8,
  GKV_ERROR_INVALID_KEY = 9,
  GKV_ERROR_INVALID_VALUE = 10,
  GKV_ERROR_INVALID_ADDRESS = 11,
  GKV_ERROR_CODEC = 12,
  GKV_ERROR_TRANSPORT = 13,
  GKV_ERROR_DISCOVERY = 14,
  GKV_ERROR_MODULE = 15,
  GKV_ERROR_TOO_LARGE = 16,
  GKV_ERROR_CLOCK = 17,
  /* 18 is kept free for KEYRING, 19 for STORAGE */
} GkvError;

#define GKV_TYPE_ERROR (gkv_error_get_type ())

GKV_AVAILABLE_IN_1_0
GType gkv_error_get_type (void);

GKV_AVAILABLE_IN_1_0
GQuark gkv_error_quark (void);

G_END_DECLS
