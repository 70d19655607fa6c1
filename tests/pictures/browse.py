"""Opens each page of a directory in headless Chromium, as a phone and as a desk shows it, light and dark, and looks at it.

    browse.py DIRECTORY

A page has to load nothing, run nothing, write nothing to the console, fit its window without scrolling sideways, and
have texts that stand out from their ground by WCAG 2.1's 4.5 to 1. Beside each page its pictures are left. Chromium is
spoken to over a pipe (--remote-debugging-pipe), in the DevTools protocol. Nothing but Python's own library is needed.
"""

import base64
import fcntl
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile

SIZES = {"narrow": (390, 844), "wide": (1280, 900)}
SCHEMES = ("light", "dark")
LEAST_CONTRAST = 4.5
# No answer takes longer but from a browser that hangs.
PATIENCE_S = 60

# The texts whose contrast is too low, as "text: contrast".
CONTRAST = """
(() => {
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = parts(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const low = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.tagName === 'STYLE') continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < %s) low.push(texts.currentNode.data.trim() + ': ' + contrast.toFixed(2));
  }
  return low;
})()
"""


class Chromium:
    """A browser with one tab."""

    def __init__(self, profile):
        to_read, self.to = os.pipe()
        self.answers, from_write = os.pipe()

        def prepare():
            # By way of high numbers: what is there may have one of the two that Chromium expects.
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (to_read, from_write)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--no-first-run", f"--user-data-dir={profile}", "--remote-debugging-pipe",
                "about:blank",
            ],
            preexec_fn=prepare,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        self.rest = b""
        self.last = 0
        self.session = None
        self.events = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def receive(self):
        while b"\0" not in self.rest:
            if not select.select([self.answers], [], [], PATIENCE_S)[0]:
                raise TimeoutError(f"Chromium says nothing for {PATIENCE_S} s")
            some = os.read(self.answers, 1 << 16)
            if not some:
                raise EOFError("Chromium has ended")
            self.rest += some
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        self.events.clear()
        self.ask("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def value(self, expression):
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


def looked_at(browser, page, scheme, width, height):
    """What is wrong with a page, in words."""
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    browser.open(page.as_uri())
    wrong = []
    low = browser.value(CONTRAST % LEAST_CONTRAST)
    wrong += [f"too little contrast: {text}" for text in low]
    wide = browser.value("document.documentElement.scrollWidth")
    if wide > width:
        wrong.append(f"{wide} px wide, in a window of {width}")
    if browser.value("document.scripts.length"):
        wrong.append("there is a script")
    for event in browser.events:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                if parameters["request"]["url"] != page.as_uri():
                    wrong.append(f"loads {parameters['request']['url']}")
            case "Log.entryAdded":
                wrong.append(f"log: {parameters['entry']['text']}")
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                wrong.append(f"console: {parameters}")
    return wrong


def report(name, wrong):
    """Prints how one picture fared; returns whether it failed."""
    print(f"{'FAILED' if wrong else 'ok    '} {name}")
    for words in wrong:
        print(f"       {words}")
    return bool(wrong)


def end(count, failed):
    print(f"{count - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: browse.py DIRECTORY")
    pages = sorted(pathlib.Path(sys.argv[1]).resolve().glob("*.html"))
    if not pages:
        sys.exit(f"{sys.argv[1]} has no pages")
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Chromium(profile) as browser:
        for page in pages:
            for size, (width, height) in SIZES.items():
                for scheme in SCHEMES:
                    wrong = looked_at(browser, page, scheme, width, height)
                    picture = browser.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
                    page.with_name(f"{page.stem}-{size}-{scheme}.png").write_bytes(base64.b64decode(picture))
                    failed += report(f"{page.stem} {size} {scheme}", wrong)
    end(len(pages) * len(SIZES) * len(SCHEMES), failed)


if __name__ == "__main__":
    main()
