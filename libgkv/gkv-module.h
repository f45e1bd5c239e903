/* GKV_MODULE_DEFINE: what makes a shared object a module of this library.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#if !defined(GKV_INSIDE) && !defined(GKV_COMPILATION)
#error "Only <gkv.h> can be included directly."
#endif

#include <gio/gio.h>
#include <gmodule.h>

#include "gkv-version-macros.h"

G_BEGIN_DECLS

/**
 * GKV_MODULE_API_VERSION:
 *
 * The version of the interfaces that modules implement. A module of another version isn't loaded.
 *
 * Since: 1.0
 */
#define GKV_MODULE_API_VERSION (1)

/**
 * GKV_MODULE_DEFINE: (skip)
 * @name: the module's name with underscores: `codec_rot13` for a file named `libgkv-codec-rot13.so`
 * @extension_point: the extension point, for example %GKV_CODEC_EXTENSION_POINT_NAME
 * @type: the #GType that implements its interface
 * @implementation: the name of the implementation, for example "rot13"
 *
 * Defines all that a module must export. Used once, at the top level of a source file. The module stays in memory
 * once it is loaded, so that its types can be registered as any others, with G_DEFINE_FINAL_TYPE_WITH_CODE().
 * It may be written in C++.
 *
 * Since: 1.0
 */
#ifdef GKV_BUILTIN_MODULE
#define GKV_MODULE_DEFINE(name, extension_point, type, implementation) \
  void gkv_builtin_##name##_register (void); \
  void gkv_builtin_##name##_register (void) \
  { \
    g_io_extension_point_implement (extension_point, type, implementation, 0); \
  }
#else
#define GKV_MODULE_DEFINE(name, extension_point, type, implementation) \
  G_BEGIN_DECLS \
  G_MODULE_EXPORT extern const guint gkv_module_api_version; \
  const guint gkv_module_api_version = GKV_MODULE_API_VERSION; \
  G_MODULE_EXPORT void g_io_gkv_##name##_load (GIOModule *module); \
  G_MODULE_EXPORT void g_io_gkv_##name##_unload (GIOModule *module); \
  G_MODULE_EXPORT char **g_io_gkv_##name##_query (void); \
  void g_io_gkv_##name##_load (GIOModule *module) \
  { \
    g_type_module_use (G_TYPE_MODULE (module)); \
    g_io_extension_point_implement (extension_point, type, implementation, 0); \
  } \
  void g_io_gkv_##name##_unload (GIOModule *module) \
  { \
    (void) module; \
  } \
  char **g_io_gkv_##name##_query (void) \
  { \
    const char *points[] = { extension_point, NULL }; \
    return g_strdupv ((char **) points); \
  } \
  G_END_DECLS
#endif

G_END_DECLS
