/* GKV_ERROR: the error domain, with the codes that applications match.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-error.h"

G_DEFINE_ENUM_TYPE (GkvError,
                    gkv_error,
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_FAILED, "failed"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_NOT_FOUND, "not-found"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_EXISTS, "exists"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_MISMATCH, "mismatch"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_CLOSED, "closed"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_WRONG_THREAD, "wrong-thread"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_INVALID_OPTION, "invalid-option"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_WRONG_TYPE, "wrong-type"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_DUPLICATE_ID, "duplicate-id"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_INVALID_KEY, "invalid-key"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_INVALID_VALUE, "invalid-value"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_INVALID_ADDRESS, "invalid-address"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_CODEC, "codec"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_TRANSPORT, "transport"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_DISCOVERY, "discovery"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_MODULE, "module"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_TOO_LARGE, "too-large"),
                    G_DEFINE_ENUM_VALUE (GKV_ERROR_CLOCK, "clock"))

/**
 * gkv_error_quark:
 *
 * Gets the error domain of this library. May be called from any thread.
 *
 * Returns: the quark of the string "gkv-error-quark"
 *
 * Since: 1.0
 */
/* The formatter would put spaces into the name, which is public. */
/* clang-format off */
G_DEFINE_QUARK (gkv-error-quark, gkv_error)
/* clang-format on */
