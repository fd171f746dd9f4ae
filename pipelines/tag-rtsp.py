#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Labels the frames of network cameras: JSON lines on standard output.

A camera that goes away is looked for again and again; the model stays loaded. Status lines go to standard error.
"""
import argparse
import os
import pathlib
import select
import signal
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

import rtsp  # noqa: E402

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FINISH_S, STUCK_S = 20, 5  # for the last results to come, and for a reader of standard output to take them


def number(kind, least):
    def parse(text):
        value = kind(text)
        if not least <= value <= 1e6:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and 1000000")
        return value
    parse.__name__ = kind.__name__  # for argparse's message
    return parse


def retry(text):
    return float("inf") if text == "forever" else number(int, 0)(text)


def parse_options():
    parser = argparse.ArgumentParser(
        prog="pipelines/tag-rtsp", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 at the end of -s, at SIGINT or SIGTERM, or when standard output is closed; 1 when a camera was "
               "given up, -s brought no frame, or something else failed; 2: wrong usage.")
    parser.add_argument("urls", nargs="+", metavar="rtsp://[USER:PASSWORD@]HOST/PATH",
                        help="a camera; several share one model")
    parser.add_argument("prompts", metavar="PROMPTS", help='what to look for: "a car;an empty street"')
    parser.add_argument("-m", dest="model", help="the model (default: as clipclassify)")
    parser.add_argument("-i", dest="interval", type=number(int, 1), default=5, metavar="N", help="infers every Nth frame (%(default)s)")
    parser.add_argument("-s", dest="seconds", type=number(float, 0), default=0, metavar="SECONDS", help="stops after SECONDS")
    parser.add_argument("--source", action="append", default=[], metavar="NAME",
                        help='"source" in the JSON lines, once for each camera (default: HOST:PORT; HOST:PORT#1, ... where '
                             'several have the same)')
    parser.add_argument("--login", type=pathlib.Path, metavar="FILE",
                        help="holds USER:PASSWORD, for addresses without: other users see a command line's")
    parser.add_argument("--transport", choices=["auto", "tcp", "udp"], default="auto", help="auto: UDP, and TCP where that brings nothing")
    parser.add_argument("--latency", type=number(int, 0), default=200, metavar="MS", help="the jitter buffer (%(default)s)")
    parser.add_argument("--timeout", type=number(float, .1), default=10, metavar="SECONDS",
                        help="a camera without a frame for so long is lost (%(default)s)")
    parser.add_argument("--retry", type=retry, metavar="N|forever",
                        help="failed tries in a row before a camera is given up (default: forever once it has worked, 0 before). "
                             "A refused password is never tried again")
    parser.add_argument("--delay", type=number(float, .01), default=1, metavar="SECONDS",
                        help="before the first new try; doubled after each (%(default)s)")
    parser.add_argument("--max-delay", type=number(float, .01), default=30, metavar="SECONDS", help="at most (%(default)s)")
    options = parser.parse_intermixed_args()
    if rtsp.is_address(options.prompts):
        parser.error("expected prompts after the addresses")
    try:
        options.addresses = read_addresses(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if len(options.source) not in (0, len(options.addresses)):
        parser.error(f"expected --source once for each of {len(options.addresses)} cameras, found {len(options.source)}")
    options.source = options.source or default_names(options.addresses)
    return options


def default_names(addresses):
    names = [address.name for address in addresses]
    return [name if names.count(name) == 1 else f"{name}#{number_}" for number_, name in enumerate(names, 1)]


def read_addresses(options):
    addresses = [rtsp.Address(url) for url in options.urls]
    if options.login:
        user, colon, password = options.login.read_text(encoding="utf-8").strip().partition(":")
        if not colon:
            raise ValueError(f"{options.login}: expected USER:PASSWORD")
        for address in addresses:
            if not address.user:
                address.user, address.password = user, password
    return addresses


def tells(fd, events):
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(0))


def is_closed(fd):
    return tells(fd, 0)  # errors and hang-ups are always told


class Tagger:
    """All cameras' lines through one funnel to standard output."""

    def __init__(self, options):
        self.options, self.loop, self.status, self.ending, self.finish_by = options, GLib.MainLoop(), 0, False, 0.0
        self.pipeline = Gst.Pipeline.new(None)
        # Clock and base time outlive the sources: timestamps go on over connections.
        clock = Gst.SystemClock.obtain()
        self.pipeline.use_clock(clock)
        self.pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
        self.pipeline.set_base_time(clock.get_time())
        self.funnel, self.sink = Gst.ElementFactory.make("funnel"), Gst.ElementFactory.make("fdsink")
        self.sink.set_property("async", False)  # there may be no frame for long
        self.pipeline.add(self.funnel)
        self.pipeline.add(self.sink)
        self.funnel.link(self.sink)
        self.cameras = [rtsp.Camera(address, name, options, self.pipeline, self.funnel, self.camera_ended)
                        for address, name in zip(options.addresses, options.source)]

    def run(self):
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self.hear)
        threading.Thread(target=self.await_signals, daemon=True).start()
        GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, 1, GLib.IOCondition.ERR | GLib.IOCondition.HUP, self.closed)
        if self.pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            self.status = 1
            GLib.idle_add(self.loop.quit)  # after the error messages
        else:
            for camera in self.cameras:
                camera.connect()
            if self.options.seconds:
                GLib.timeout_add(int(self.options.seconds * 1000), self.time_is_up)
        self.loop.run()
        for camera in self.cameras:
            camera.disconnect()
        self.pipeline.set_state(Gst.State.NULL)
        return self.status

    def hear(self, _bus, message):
        if message.type == Gst.MessageType.EOS:
            self.loop.quit()
        elif message.type == Gst.MessageType.WARNING and message.src.has_as_ancestor(self.pipeline):
            names = [camera.name + ": " for camera in self.cameras if camera.owns(message.src)]
            rtsp.say("".join(names) + message.parse_warning()[0].message)
        elif message.type == Gst.MessageType.ERROR:
            self.hear_error(message)

    def hear_error(self, message):
        error, details = message.parse_error()
        for camera in self.cameras:
            if camera.owns(message.src):
                camera.failed(error)
                return
        if not message.src.has_as_ancestor(self.pipeline):
            return  # of a source that is gone
        if message.src == self.sink and is_closed(1):
            self.closed()
            return
        rtsp.say(f"{message.src.get_name()}: {error.message} {(details or '').rpartition(chr(10))[2]}")
        self.status = 1
        self.loop.quit()

    def closed(self, *_fd_and_condition):
        """Nobody reads any more."""
        self.loop.quit()
        return GLib.SOURCE_REMOVE

    def camera_ended(self):
        self.status = 1
        if all(camera.over for camera in self.cameras):
            self.end()

    def time_is_up(self):
        if not any(camera.worked for camera in self.cameras):
            rtsp.say(f"there was no frame within {self.options.seconds:g} s")
            self.status = 1
        return self.end()

    def await_signals(self):
        """On a thread of its own: the first signal lets the last lines be written, the second does not wait for them."""
        signal.sigwait(SIGNALS)
        GLib.idle_add(self.end, priority=GLib.PRIORITY_HIGH)
        signal.sigwait(SIGNALS)
        self.abandon("a second signal")

    def end(self):
        if not self.ending:
            self.ending, self.finish_by = True, time.monotonic() + FINISH_S
            for camera in self.cameras:
                camera.stop()
            GLib.timeout_add_seconds(STUCK_S, self.hurry)
        return GLib.SOURCE_REMOVE

    def hurry(self):
        if not tells(1, select.POLLOUT):
            self.abandon("nobody reads them")
        if time.monotonic() > self.finish_by:
            self.abandon(f"they did not come within {FINISH_S} s")
        return GLib.SOURCE_CONTINUE

    @staticmethod
    def abandon(reason):
        rtsp.say("the last lines are lost: " + reason)
        os._exit(1)  # a thread that is stuck in a write would not let go


def main():
    options = parse_options()
    try:
        os.fstat(1)
    except OSError:
        sys.exit("tag-rtsp: standard output is closed")
    # Blocked in all threads that will be, and waited for in one: a handler of PoCL's compiler would take the signal and
    # remove its files under a kernel that is being built.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    Gst.init(None)
    for element in rtsp.ELEMENTS:
        if not Gst.ElementFactory.find(element):
            sys.exit(f"tag-rtsp: there is no GStreamer element '{element}'; run pipelines/quickstart once, or "
                     "meson install -C build")
    return Tagger(options).run()


if __name__ == "__main__":
    sys.exit(main())
