"""chromium_page.py: a page in headless Chromium, by the DevTools protocol over a pipe: JSON messages that end in NUL, read
from file descriptor 3 and written to 4 by the browser. https://chromedevtools.github.io/devtools-protocol/

    with Browser("chromium", "profile folder") as browser:
        page = browser.open("file:///.../report.html", width=1280, height=900, dark=False)
        page.evaluate("document.title"); page.messages (what the console and uncaught errors said); page.requests (URLs)
"""
import base64
import json
import os
import select
import subprocess
import time

WAIT = 30  # seconds for an answer


class Browser:
    def __init__(self, program, profile):
        to_browser, self.to = os.pipe()
        self.back, from_browser = os.pipe()
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-extensions",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                 "--hide-scrollbars", "--user-data-dir=" + profile]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")

        def descriptors():  # 3 and 4 in the browser; both ends are copied away first, since they may be 3 and 4
            a, b = os.dup(to_browser), os.dup(from_browser)
            a, b = [os.dup(x) if x in (3, 4) else x for x in (a, b)]
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.log = open(profile + ".log", "wb")
        self.process = subprocess.Popen([program, *flags, "about:blank"], preexec_fn=descriptors, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.answers, self.pages = b"", 0, {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close", {})
            self.process.wait(5)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()

    def read(self, seconds):
        """Takes in what the browser says within so many seconds; True if it said something."""
        if not select.select([self.back], [], [], seconds)[0]:
            return False
        chunk = os.read(self.back, 1 << 20)
        if not chunk:
            raise RuntimeError("the browser has ended")
        *whole, self.buffer = (self.buffer + chunk).split(b"\0")
        for text in whole:
            message = json.loads(text)
            if "id" in message:
                self.answers[message["id"]] = message
            elif message.get("sessionId") in self.pages:
                self.pages[message["sessionId"]].event(message["method"], message["params"])
        return True

    def call(self, method, params, session=None):
        self.number += 1
        number, message = self.number, {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        end = time.monotonic() + WAIT
        while number not in self.answers:
            if time.monotonic() > end:
                raise RuntimeError(f"{method}: no answer in {WAIT} s")
            self.read(0.2)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, url, **size):
        return Page(self, url, **size)


class Page:
    def __init__(self, browser, url, width=1280, height=900, dark=False, touch=False):
        self.browser, self.messages, self.requests, self.loaded = browser, [], [], False
        target = browser.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.session = browser.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.size(width, height, touch)
        self.theme(dark)
        self.call("Page.navigate", url=url)
        self.until(lambda: self.loaded, "the page is loaded")

    def call(self, method, **params):
        return self.browser.call(method, params, self.session)

    def size(self, width, height, touch=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)

    def theme(self, dark):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def event(self, method, params):
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.messages.append("error: " + details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(f"{params['type']}: " + " ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded":
            self.messages.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    def until(self, condition, what, seconds=15):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"not after {seconds} s: {what}")
            self.browser.read(0.02)

    def screenshot(self, path, clip=None):
        box = clip or self.evaluate("({x: 0, y: 0, width: innerWidth, height: document.documentElement.scrollHeight})")
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={**box, "scale": 1})["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
