#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtsp-server.py PORT PATH=PATTERN...: a network camera on loopback that shows videotestsrc's patterns in H.264.

PORT 0 takes any; prints the port when it listens, and a line for each stream that is asked for. Needs Debian's gir1.2-gst-rtsp-server-1.0.
"""
import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

SOUND = "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0 pt=8"
CAMERA = ("( {} videotestsrc is-live=true pattern={} {} ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! "
          "x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max=15 ! rtph264pay name=pay{} pt=96 )")


def demand_login(server, factories, user, password):
    server_login = GstRtspServer.RTSPAuth()
    server_login.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token, permissions = GstRtspServer.RTSPToken(), GstRtspServer.RTSPPermissions()
    token.set_string("media.factory.role", "viewer")
    server_login.add_digest(user, password, token)
    server.set_auth(server_login)
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    for factory in factories:
        factory.set_permissions(permissions)


def asked(_client, _context):
    print("SETUP", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port")
    parser.add_argument("cameras", nargs="+", metavar="PATH=PATTERN")
    parser.add_argument("--frames", type=int, default=-1, help="then the stream ends")
    parser.add_argument("--sound", action="store_true", help="as first stream")
    parser.add_argument("--login", nargs=2, metavar=("USER", "PASSWORD"))
    options = parser.parse_args()
    Gst.init(None)
    server, factories = GstRtspServer.RTSPServer(), []
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    for camera in options.cameras:
        path, pattern = camera.split("=")
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_shared(True)
        factory.set_launch(CAMERA.format(SOUND if options.sound else "", pattern, f"num-buffers={options.frames}",
                                        int(options.sound)))
        server.get_mount_points().add_factory("/" + path, factory)
        factories.append(factory)
    server.connect("client-connected", lambda _server, client: client.connect("setup-request", asked))
    if options.login:
        demand_login(server, factories, *options.login)
    if server.attach(None) == 0:
        raise SystemExit(f"rtsp-server.py: port {options.port} is taken")
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
