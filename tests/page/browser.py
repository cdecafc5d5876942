# SPDX-License-Identifier: Apache-2.0
"""browser.py DIR: opens DIR/report.html in headless Chromium. Exit code 77: there is none."""
import html
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def run(chromium, profile, *arguments):
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-extensions", "--enable-logging=stderr", f"--user-data-dir={profile}",
         "--virtual-time-budget=5000", *arguments],
        capture_output=True, timeout=120, check=False)
    said = done.stderr.decode(errors="replace")
    assert "CONSOLE" not in said, "the console says: " + "\n".join(l for l in said.splitlines() if "CONSOLE" in l)
    assert done.returncode == 0, f"{arguments}: exit code {done.returncode}\n{said}"
    return done.stdout.decode(errors="replace")


def main(directory):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("skipped: no Chromium. Debian: apt install chromium")
        sys.exit(77)
    page = (directory / "report.html").read_text(encoding="utf-8")
    probe = (pathlib.Path(__file__).parent / "probe.js").read_text(encoding="utf-8")
    listen = "<script>window.probeErrors = []; addEventListener('error', e => probeErrors.push(e.message));</script>"
    with tempfile.TemporaryDirectory() as scratch:
        probed = pathlib.Path(scratch) / "probed.html"
        probed.write_text(page.replace("<head>", "<head>" + listen, 1)
                          .replace("</body>", f"<script>addEventListener('load', () => {{ {probe} }});</script></body>"),
                          encoding="utf-8")
        for width in (1200, 400):
            out = run(chromium, scratch + "/profile", f"--window-size={width},900", "--dump-dom", probed.as_uri())
            found = re.search(r'<pre id="probe">(.*?)</pre>', out, re.DOTALL)
            assert found, f"the probe did not end:\n{out[-2000:]}"
            lines = html.unescape(found[1]).splitlines()
            print(f"{width} wide: {len(lines)} checks")
            wrong = [line for line in lines if not line.startswith("ok: ")]
            assert not wrong, "\n".join(wrong)
        # Without its script there is nothing that a click would not answer.
        bare = pathlib.Path(scratch) / "bare.html"
        looks = ("<script>document.title = [...document.querySelectorAll('button, main input')]"
                 ".filter(e => e.checkVisibility()).length + ' controls';</script></body>")
        bare.write_text(re.sub(r'<script>\n"use strict".*?</script>', "", page, flags=re.DOTALL)
                        .replace("</body>", looks), encoding="utf-8")
        out = run(chromium, scratch + "/profile", "--dump-dom", bare.as_uri())
        assert "<title>0 controls</title>" in out, re.findall("<title>.*?</title>", out)
        print("without its script: no dead controls")
        pdf = pathlib.Path(scratch) / "page.pdf"
        run(chromium, scratch + "/profile", f"--print-to-pdf={pdf}", (directory / "report.html").absolute().as_uri())
        content = pdf.read_bytes()
        pages = len(re.findall(rb"/Type\s*/Page\b", content))
        assert content.startswith(b"%PDF") and pages >= 2, f"{len(content)} bytes, {pages} pages"
        print(f"printed: {pages} pages, {len(content)} bytes")


main(pathlib.Path(sys.argv[1]))
