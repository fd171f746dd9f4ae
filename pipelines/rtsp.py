# SPDX-License-Identifier: LGPL-2.1-or-later
"""A network camera as a branch of a pipeline: its source comes and goes, what follows the source stays."""
import sys
import time
import urllib.parse

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

SCHEMES = ("rtsp", "rtsps", "rtspt", "rtspu", "rtsph")
ELEMENTS = ("rtspsrc", "decodebin", "videoconvert", "clipclassify", "clipjson", "funnel", "fdsink")
SOURCE = "rtspsrc name=rtsp ! decodebin ! videoconvert name=convert"


def say(text):
    # a server's words may come through: nothing of them may steer a terminal
    print("tag-rtsp: " + "".join(c if c.isprintable() else "?" for c in text), file=sys.stderr, flush=True)


def is_address(text):
    return text.lower().startswith(tuple(scheme + "://" for scheme in SCHEMES))


class Address:
    """A camera's URL without user and password, which are kept beside it. Messages show host and port only: many cameras
    have the password in the path or the query."""

    def __init__(self, url):
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:  # its own message may show the password
            raise ValueError("an address has no valid host and port; is a character of the user or the password not "
                             "percent-encoded (/ as %2F, @ as %40)?") from None
        if not is_address(url) or not parts.hostname:
            raise ValueError("expected an address like rtsp://HOST/PATH")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.name = host + (f":{port}" if port else "")
        self.location = urllib.parse.urlunsplit(parts._replace(netloc=self.name))
        self.user = urllib.parse.unquote(parts.username or "")
        self.password = urllib.parse.unquote(parts.password or "")


class Camera:
    """source ! queue ! clipclassify ! clipjson, the last three for good. All is done on the main loop's thread but watch()."""

    def __init__(self, address, name, options, pipeline, sink, ended):
        self.address, self.name, self.options, self.pipeline, self.ended = address, name, options, pipeline, ended
        self.source = None  # the bin that is connected or connecting
        self.serial = 0  # of the source: what an older one said late is not heard
        self.retries = 0  # since the last frame
        self.worked = self.flowing = self.over = self.gave_up = False
        self.since = self.lost_at = 0.0
        self.newest = -1  # timestamp
        self.video = None  # the stream that is taken
        self.timer = 0
        self.pad = self.make_branch(sink)
        self.pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.EVENT_DOWNSTREAM, self.watch)
        GLib.timeout_add(max(int(options.timeout * 250), 50), self.check)

    def make_branch(self, sink):
        # The leaky queue keeps the picture live when standard output is read slowly.
        self.queue, clip, json = (Gst.ElementFactory.make(kind) for kind in ("queue", "clipclassify", "clipjson"))
        Gst.util_set_object_arg(self.queue, "leaky", "downstream")
        self.queue.set_property("max-size-buffers", 1)
        clip.set_property("prompts", self.options.prompts)
        clip.set_property("inference-interval", self.options.interval)
        clip.set_property("model-instance-id", "tag-rtsp")  # one model for all cameras
        if self.options.model:
            clip.set_property("model", self.options.model)
        json.set_property("source", self.name)
        for element in (self.queue, clip, json):
            self.pipeline.add(element)
        self.queue.link(clip)
        clip.link(json)
        json.link(sink)
        return self.queue.get_static_pad("sink")

    def owns(self, element):
        return self.source is not None and (element == self.source or element.has_as_ancestor(self.source))

    def connect(self):
        self.timer = 0
        self.serial += 1
        self.flowing, self.video, self.since = False, None, time.monotonic()
        self.source = Gst.parse_bin_from_description(SOURCE, False)
        self.source.add_pad(Gst.GhostPad.new("src", self.source.get_by_name("convert").get_static_pad("src")))
        # Its state is its own: a source that waits for data must not take the pipeline, and other cameras, out of PLAYING.
        self.source.set_locked_state(True)
        self.source.set_property("async-handling", True)
        self.configure(self.source.get_by_name("rtsp"))
        self.pipeline.add(self.source)
        self.source.link(self.queue)
        self.source.set_state(Gst.State.PLAYING)  # a failure is also an error message
        return GLib.SOURCE_REMOVE

    def configure(self, rtsp):
        rtsp.set_property("location", self.address.location)
        rtsp.set_property("user-id", self.address.user or None)
        rtsp.set_property("user-pw", self.address.password or None)
        rtsp.set_property("latency", self.options.latency)
        # UDP that brings nothing gives way to TCP before the camera counts as lost.
        rtsp.set_property("timeout", int(self.options.timeout * 5e5))
        rtsp.set_property("tcp-timeout", int(self.options.timeout * 1e6))
        if self.options.transport != "auto":
            Gst.util_set_object_arg(rtsp, "protocols", self.options.transport)
        rtsp.connect("select-stream", self.select)

    def select(self, _rtsp, number, caps):
        """The first video; sound and a camera's own metadata are not fetched."""
        if self.video is None and caps.get_structure(0).get_string("media") == "video":
            self.video = number
        return number == self.video

    def watch(self, _pad, info):
        """On the streaming thread: notes that frames come, and keeps a source's end from what follows it."""
        if info.type & Gst.PadProbeType.BUFFER:
            buffer = info.get_buffer()
            if buffer.pts != Gst.CLOCK_TIME_NONE:
                if buffer.pts <= self.newest:
                    return Gst.PadProbeReturn.DROP  # time never goes back, over all connections
                self.newest = buffer.pts
            self.since = time.monotonic()
            if not self.flowing:
                self.flowing = True
                GLib.idle_add(self.came, self.serial)
        elif info.get_event().type == Gst.EventType.EOS and not self.over:
            GLib.idle_add(self.lost, self.serial, "the server ended the stream")
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.OK

    def came(self, serial):
        if serial == self.serial and self.source:
            say(f"{self.name}: " + (f"again, after {time.monotonic() - self.lost_at:.1f} s" if self.worked else "frames come"))
            self.worked, self.retries = True, 0
        return GLib.SOURCE_REMOVE

    def check(self):
        if self.source and time.monotonic() - self.since > self.options.timeout:
            self.lost(self.serial, f"no frame for {self.options.timeout:g} s")
        return GLib.SOURCE_REMOVE if self.over else GLib.SOURCE_CONTINUE

    def failed(self, error):
        """An error of the source."""
        if error.matches(Gst.resource_error_quark(), Gst.ResourceError.NOT_AUTHORIZED):
            # Cameras lock an account after some wrong passwords: this is not tried again.
            self.give_up("the server refused the user or the password" if self.address.user else
                         "the server asks for a user and a password: rtsp://USER:PASSWORD@HOST/PATH or --login FILE")
        elif error.matches(Gst.resource_error_quark(), Gst.ResourceError.NOT_FOUND):
            self.lost(self.serial, "the server has no such path")
        elif error.matches(Gst.resource_error_quark(), Gst.ResourceError.OPEN_READ_WRITE):
            self.lost(self.serial, "could not connect")
        else:
            self.lost(self.serial, error.message)

    def lost(self, serial, reason):
        if serial != self.serial or not self.source:
            return GLib.SOURCE_REMOVE
        if self.flowing or not self.lost_at:
            self.lost_at = time.monotonic()
        self.disconnect()
        limit = self.options.retry
        if limit is None:
            limit = float("inf") if self.worked else 0
        if self.retries >= limit:
            self.give_up(reason + ("" if self.worked or self.retries else "; --retry forever waits for it"))
            return GLib.SOURCE_REMOVE
        pause = min(self.options.delay * 2 ** min(self.retries, 30), max(self.options.delay, self.options.max_delay))
        self.retries += 1
        say(f"{self.name}: {'lost' if self.flowing else 'not there'}: {reason}; next try in {pause:g} s")
        self.timer = GLib.timeout_add(int(pause * 1000), self.connect)
        return GLib.SOURCE_REMOVE

    def disconnect(self):
        if not self.source:
            return
        source, self.source = self.source, None
        source.set_state(Gst.State.NULL)
        source.unlink(self.queue)
        self.pipeline.remove(source)

    def give_up(self, reason):
        self.gave_up = True
        say(f"{self.name}: {reason}")
        self.stop()
        self.ended()

    def stop(self):
        """No frame comes any more; those on their way are written."""
        if self.over:
            return
        self.over = True
        if self.timer:
            GLib.source_remove(self.timer)
        self.disconnect()
        self.pad.send_event(Gst.Event.new_eos())
