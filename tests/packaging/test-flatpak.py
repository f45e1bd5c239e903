#!/usr/bin/python3
"""Whether the Flatpak manifests below data/flatpak are of the form that Flatpak takes, and name files that exist. Speaks TAP.

flatpak-builder itself reads them where it is installed; it passes over what it doesn't know, so that is looked at here.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import glob
import json
import os
import shutil
import subprocess

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../data/flatpak")

# Of what flatpak-manifest(5) lists, the part that is used here; so a slip of the pen is found.
APPLICATION = {"id", "runtime", "runtime-version", "sdk", "command", "finish-args", "modules"}
MODULE = {"name", "buildsystem", "config-opts", "build-commands", "cleanup", "sources", "modules"}
PERMISSIONS = {"--share=network", "--system-talk-name=org.freedesktop.Avahi"}


def check_module(module):
    if isinstance(module, str):
        with open(os.path.join(FOLDER, module), encoding="utf-8") as file:
            module = json.load(file)
    assert set(module) <= MODULE, f"unknown: {set(module) - MODULE}"
    assert module["name"] and module["buildsystem"] in ("meson", "simple")
    for source in module["sources"]:
        assert source["type"] in ("dir", "file"), source
        assert os.path.exists(os.path.join(FOLDER, source["path"])), f"there is no {source['path']}"
    for inner in module.get("modules", []):
        check_module(inner)


def check_application(manifest):
    assert set(manifest) == APPLICATION, f"unknown or missing: {set(manifest) ^ APPLICATION}"
    assert manifest["id"].count(".") >= 2
    assert set(manifest["finish-args"]) <= PERMISSIONS, f"more than is needed: {set(manifest['finish-args']) - PERMISSIONS}"
    for module in manifest["modules"]:
        check_module(module)


def main():
    paths = sorted(glob.glob(os.path.join(FOLDER, "*.json")))
    builder = shutil.which("flatpak-builder")
    assert paths, "there are no manifests"

    print(f"1..{len(paths) * 2}")
    for number, path in enumerate(paths):
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        name = os.path.basename(path)
        if "id" in manifest:
            check_application(manifest)
        else:
            check_module(manifest)
        print(f"ok {number * 2 + 1} - {name} has the form of a manifest")

        if builder and "id" in manifest:
            subprocess.run([builder, "--show-manifest", path], check=True, stdout=subprocess.DEVNULL)
            print(f"ok {number * 2 + 2} - flatpak-builder reads {name}")
        else:
            print(f"ok {number * 2 + 2} # SKIP {'needs flatpak-builder' if not builder else 'a module is read with its application'}")


if __name__ == "__main__":
    main()
