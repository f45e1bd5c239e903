#!/usr/bin/python3
"""Whether what packages say fits the library: versions, files, licences. "test-packages.py BUILD-FOLDER", speaking TAP.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import fnmatch
import glob
import json
import os
import re
import shutil
import subprocess
import sys

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))


class Skip(Exception):
    pass


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def introspect(build, what):
    return json.loads(subprocess.run(["meson", "introspect", what, build], check=True, capture_output=True).stdout)


def list_installed(build):
    """What the build installs, as it is below /usr on a machine of Debian's."""
    options = {option["name"]: option["value"] for option in introspect(build, "--buildoptions")}
    libdir = os.path.join(options["prefix"], options["libdir"])
    for path in introspect(build, "--installed").values():
        path = re.sub(r"^.*/gi/overrides/", "usr/lib/python3/dist-packages/gi/overrides/", path)
        path = path.replace(libdir + "/", "usr/lib/multiarch/").replace(options["prefix"] + "/", "usr/")
        yield path.lstrip("/")


def list_unpacked(paths, patterns):
    """Those that no pattern, or a folder that one names, has."""
    return [path for path in paths
            if not any(fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(path, pattern + "/*") for pattern in patterns)]


def check_versions(build):
    version = introspect(build, "--projectinfo")["version"]
    assert read("debian/changelog").startswith(f"libgkv ({version}-"), "debian/changelog has another version"
    assert re.search(rf"^Version: *{re.escape(version)}$", read("data/rpm/libgkv.spec"), re.M), "the spec has another version"
    assert read("NEWS").startswith(f"libgkv {version} "), "NEWS has another version"


def check_debian(build):
    patterns = [line for path in glob.glob(os.path.join(TOP, "debian/*.install")) for line in read(path).split("\n") if line]
    left = list_unpacked(list_installed(build), patterns)
    assert not left, f"no debian/*.install has these: {left}"


def check_rpm(build):
    files = re.split(r"^%files.*$", read("data/rpm/libgkv.spec").split("%changelog")[0], flags=re.M)[1:]
    macros = {"%{api}": "1", "%{_libdir}": "usr/lib/multiarch", "%{_datadir}": "usr/share", "%{_docdir}": "usr/share/doc",
              "%{_includedir}": "usr/include", "%{_bindir}": "usr/bin", "%{_mandir}": "usr/share/man",
              "%{python3_sitelib}": "usr/lib/python3/dist-packages"}
    patterns = [line.rstrip("/") for lines in files for line in lines.split("\n") if line.startswith("%{")]
    for macro, value in macros.items():
        patterns = [pattern.replace(macro, value) for pattern in patterns]
    left = list_unpacked(list_installed(build), patterns)
    assert not left, f"no list of files in the spec has these: {left}"


def check_spec(_build):
    if shutil.which("rpmspec") is None:
        raise Skip("needs rpmspec, of the package rpm")
    subprocess.run(["rpmspec", "--parse", os.path.join(TOP, "data/rpm/libgkv.spec")], check=True, stdout=subprocess.DEVNULL)


def check_licences(_build):
    if shutil.which("reuse") is None:
        raise Skip("needs reuse")
    if not os.path.exists(os.path.join(TOP, ".git")):
        raise Skip("needs a clone, to know what is a part of it")
    lint = subprocess.run(["reuse", "--root", TOP, "lint"], capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout


CHECKS = {
    "the versions are the same": check_versions,
    "Debian's packages have what is installed": check_debian,
    "the RPM packages have what is installed": check_rpm,
    "rpmspec takes the spec": check_spec,
    "every file has a licence, and reuse finds it": check_licences,
}


def main():
    print(f"1..{len(CHECKS)}")
    for number, (description, check) in enumerate(CHECKS.items(), 1):
        try:
            check(sys.argv[1])
            print(f"ok {number} - {description}")
        except Skip as reason:
            print(f"ok {number} # SKIP {reason}")
        except (AssertionError, subprocess.SubprocessError) as error:
            print(f"not ok {number} - {description}")
            print("# " + str(error).replace("\n", "\n# "))


main()
