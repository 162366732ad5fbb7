# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that is told what to do over a pipe (its DevTools protocol): real clicks and keys, and what the
page then shows. The standard library alone."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

SECONDS = 60


def program():
    """Chromium's path; None where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        to_read, self.to_write = os.pipe()
        self.to_read, from_write = os.pipe()
        # It reads 3 and writes 4.
        shell = 'exec 3<&%d 4>&%d; exec "$0" "$@"' % (to_read, from_write)
        command = [program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir=" + self.profile, "about:blank"]
        self.process = subprocess.Popen(["bash", "-c", shell] + command, pass_fds=(to_read, from_write),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.number = 0
        self.left = b""
        self.events = []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def message(self):
        while b"\0" not in self.left:
            block = os.read(self.to_read, 1 << 16)
            if not block:
                raise RuntimeError("the browser is gone")
            self.left += block
        text, self.left = self.left.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to_write, json.dumps(request).encode() + b"\0")
        while True:
            got = self.message()
            if got.get("id") == self.number:
                if "error" in got:
                    raise RuntimeError(method + ": " + got["error"]["message"])
                return got["result"]
            self.events.append(got)

    def evaluate(self, script):
        got = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise RuntimeError(json.dumps(got["exceptionDetails"])[:2000])
        return got["result"].get("value")

    def open(self, path):
        self.events = []
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        until = time.time() + SECONDS
        while self.evaluate("document.readyState + location.protocol") != "completefile:":
            if time.time() > until:
                raise RuntimeError(path + ": is not loaded")
            time.sleep(0.05)

    def size(self, width, height, is_mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=is_mobile)

    def media(self, **features):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def scripts(self, are_on):
        self.call("Emulation.setScriptExecutionDisabled", value=not are_on)

    def click(self, selector):
        """A press of the mouse in the middle of what is found, once it moves no more."""
        x, y = self.evaluate("""(async () => { const found = document.querySelector(%s);
            const frame = () => new Promise(requestAnimationFrame);
            let before = null, box = null;
            do {
                found.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
                before = found.getBoundingClientRect();
                await frame();
                await frame();
                box = found.getBoundingClientRect();
            } while (box.x !== before.x || box.y !== before.y);
            return [box.x + box.width / 2, box.y + box.height / 2]; })()""" % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name, code=0, text="", modifiers=0):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, windowsVirtualKeyCode=code, text=text,
                  modifiers=modifiers)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code, modifiers=modifiers)

    def type(self, selector, text):
        """Puts the text in a field in place of what is there."""
        self.evaluate("(() => { const field = document.querySelector(%s); field.focus(); field.select(); })()"
                      % json.dumps(selector))
        self.key("Backspace", 8)
        if text:
            self.call("Input.insertText", text=text)

    def choose(self, selector, value):
        """Of a select, whose list a headless browser does not open."""
        self.evaluate("""(() => { const select = document.querySelector(%s); select.value = %s;
            select.dispatchEvent(new Event("input", {bubbles: true})); })()""" % (json.dumps(selector), json.dumps(value)))

    def screenshot(self, path, full=True):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=full)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
