"""`make release URL=...`: the sdist and the wheel as an index takes them, in build/release/dist.

    python publish/release.py https://host/project/blob/v1.0

The page of an index shows README without the repository around it, so its pictures and links have to be absolute; the
repository itself keeps relative ones, which are right in every clone. So a copy of what git tracks is changed
and built.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")


def absolute_links(text: str, url: str) -> str:
    """A page whose relative links and pictures lead to files below `url`. Pictures ask for the raw file."""

    def absolute(link: re.Match) -> str:
        raw = "?raw=true" if link[1] else ""
        return f"{link[1]}[{link[2]}]({url}/{link[3]}{raw})"

    return _LINK.sub(absolute, text)


def with_urls(setup: str, url: str) -> str:
    """setup.cfg with the addresses of the project. Raises ValueError: it has some already."""
    if "project_urls" in setup:
        raise ValueError("setup.cfg has project_urls already")
    urls = {"Source": url, "Documentation": f"{url}/docs", "Changes": f"{url}/CHANGELOG.md"}
    lines = "".join(f"    {name} = {where}\n" for name, where in urls.items())
    return setup.replace("[metadata]\n", f"[metadata]\nurl = {url}\nproject_urls =\n{lines}", 1)


def main(url: str) -> None:
    """Build. Raises SystemExit: `url` is no address, or the checkout has changes that are not committed."""
    url = url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SystemExit(
            f"{url!r}: expected the address under which the files of the repository can be read, https://..."
        )
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, check=True, capture_output=True).stdout:
        raise SystemExit("the checkout has changes that are not committed")
    folder = ROOT / "build" / "release"
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    readme, setup = source / "README.md", source / "setup.cfg"
    readme.write_text(absolute_links(readme.read_text(), url))
    setup.write_text(with_urls(setup.read_text(), url))
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(source)], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
