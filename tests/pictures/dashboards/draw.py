"""Draws the dashboards that record.py has recorded in headless Chromium: a picture of each, whole, beside its record.

    draw.py DIRECTORY panels.js

A panel that throws, or writes an error to the console, fails it.
"""

import base64
import json
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from browse import PATIENCE_S, Chromium, end, report

WIDTH = 1600
# Of the height of a dashboard, what a picture for a page of documentation shows.
TOP = 1130


def drawn(browser, page):
    """Opens the page; returns what is wrong with it, in words."""
    browser.open(page.as_uri())
    until = time.monotonic() + PATIENCE_S
    while browser.value("document.title") != "drawn":
        if time.monotonic() > until:
            return ["it is not drawn"]
        time.sleep(0.1)
    wrong = []
    for event in browser.events:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                wrong.append(parameters["exceptionDetails"].get("exception", {}).get("description", str(parameters)))
            case "Runtime.consoleAPICalled" if parameters["type"] == "error":
                wrong.append(" ".join(str(one.get("value", one.get("description"))) for one in parameters["args"]))
    return wrong


def picture(browser, height):
    clip = {"x": 0, "y": 0, "width": WIDTH + 16, "height": height, "scale": 1}
    return base64.b64decode(browser.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"])


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: draw.py DIRECTORY panels.js")
    folder, script = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    records = sorted(folder.glob("*.json"))
    if not records:
        sys.exit(f"{folder} has no records")
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Chromium(profile) as browser:
        for file in records:
            record = json.loads(file.read_text()) | {"scheme": "light", "width": WIDTH}
            data = json.dumps(record).replace("</", "<\\/")
            page = file.with_suffix(".html")
            page.write_text(
                f"<!doctype html><meta charset=utf-8><title></title><body style='margin:8px'><div id=root></div>"
                f"<link rel=stylesheet href={script.with_suffix('.css').as_uri()}>"
                f"<script>window.record = {data};</script><script src={script.as_uri()}></script>"
            )
            browser.ask(
                "Emulation.setDeviceMetricsOverride", width=WIDTH + 16, height=TOP, deviceScaleFactor=1, mobile=False
            )
            wrong = drawn(browser, page)
            height = browser.value("document.documentElement.scrollHeight")
            file.with_name(f"{file.stem}-whole.png").write_bytes(picture(browser, height))
            file.with_suffix(".png").write_bytes(picture(browser, min(height, TOP)))
            failed += report(f"{file.stem}, without data: {browser.value('window.empty')}", wrong)
    end(len(records), failed)


if __name__ == "__main__":
    main()
