"""Packages of Debian, of any release and processor, in a folder: nothing is installed, and no
root is needed. apt gets a configuration, lists and a state of its own, and downloads alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
#: Read after the system's own settings, of which a proxy must hold.
SETTINGS = """\
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{cache}";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "0";
APT::Sandbox::User "";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
"""


def release() -> str:
    """Return the name of this release of Debian; end the program where it is no Debian."""
    described = Path("/etc/os-release")
    text = described.read_text() if described.is_file() else ""
    found = dict(re.findall(r'^(\w+)="?([^"\n]*)', text, re.MULTILINE))
    missing = [name for name in ("apt-get", "dpkg-deb") if not shutil.which(name)]
    if found.get("ID") != "debian" or missing:
        what = f"{', '.join(missing)} not found" if missing else found.get("PRETTY_NAME", "unknown")
        sys.exit(f"this unpacks packages of Debian, and runs on Debian alone; here is: {what}")
    return found["VERSION_CODENAME"]


def mirror() -> str:
    """Return where this machine takes Debian from, or what ``DEBIAN_MIRROR`` says."""
    if named := os.environ.get("DEBIAN_MIRROR"):
        return named
    files = [SOURCES[0], *sorted(SOURCES[1].glob("*"))]
    for path in files:
        if path.is_file() and (found := re.search(r"\w+://\S+/debian/?(?=\s)", path.read_text())):
            return found[0]
    sys.exit("no source of Debian in /etc/apt: name one by DEBIAN_MIRROR")


def architecture() -> str:
    """Return what Debian calls the processor of this machine."""
    asked = ["dpkg", "--print-architecture"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def unpack(folder: Path, suite: str, architecture: str, packages: Sequence[str]) -> Path:
    """Unpack packages and all that they depend on, unless that was done, and return their root.

    Parameters
    ----------
    folder : Path
        Where lists, packages and the root are kept.
    suite : str
        The release, such as ``"bookworm"`` or ``"sid"``.
    architecture : str
        The processor, such as ``"arm64"``.
    packages : sequence of str
        What is wanted.
    """
    root, asked, done = (folder / name for name in ("root", "asked.json", "unpacked.json"))
    wanted = json.dumps([suite, architecture, *packages])
    if done.is_file() and done.read_text() == wanted:
        return root
    print(f"unpacking {', '.join(packages)} of Debian {suite} for {architecture}", flush=True)
    done.unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    state, cache = folder / "state", folder / "cache"
    if not asked.is_file() or asked.read_text() != wanted:
        shutil.rmtree(cache, ignore_errors=True)  # else what was downloaded is not wanted twice
        asked.write_text(wanted)
    for each in (state / "lists" / "partial", cache / "archives" / "partial"):
        each.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    signed = f"[signed-by={KEYS}] " if KEYS.exists() else ""
    (folder / "sources.list").write_text(f"deb {signed}{mirror()} {suite} main\n")
    settings = folder / "apt.conf"
    settings.write_text(
        SETTINGS.format(folder=folder, state=state, cache=cache, architecture=architecture)
    )
    apt = ["apt-get", "-q", "-y", "-c", str(settings)]
    with open(folder / "log", "w") as log:
        for words in (["update"], ["install", "--download-only", *packages]):
            if subprocess.run([*apt, *words], stdout=log, stderr=log).returncode:
                sys.exit(f"apt-get {words[0]} failed: see {log.name}")
    for archive in sorted((cache / "archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)
    done.write_text(wanted)
    return root
