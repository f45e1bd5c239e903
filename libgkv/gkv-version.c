/* The version of the library that a program runs with, which may be later than the one that it was built with.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "config.h"

#include "gkv-version-macros.h"

/**
 * gkv_get_major_version:
 *
 * Gets the major version of the library that the program runs with. May be called from any thread.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
gkv_get_major_version (void)
{
  return GKV_MAJOR_VERSION;
}

/**
 * gkv_get_minor_version:
 *
 * Gets the minor version of the library that the program runs with. May be called from any thread.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
gkv_get_minor_version (void)
{
  return GKV_MINOR_VERSION;
}

/**
 * gkv_get_micro_version:
 *
 * Gets the micro version of the library that the program runs with. May be called from any thread.
 *
 * Returns: a number
 *
 * Since: 1.0
 */
guint
gkv_get_micro_version (void)
{
  return GKV_MICRO_VERSION;
}
