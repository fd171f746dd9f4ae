# SPDX-License-Identifier: LGPL-2.1-or-later
"""pipelines/tag-rtsp and real RTSP servers on loopback: they die, hang, refuse, and come back."""
import itertools
import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from support import ROOT, environment, run

TAG = ROOT / "pipelines" / "tag-rtsp"
SERVER = pathlib.Path(__file__).with_name("rtsp-server.py")
SCENES = {"smpte": "colour bars", "snow": "television static", "black": "a black screen", "checkers-8": "a checkerboard"}
PROMPTS = ";".join(SCENES.values())
PATIENCE = 60  # s, on a loaded machine


class Lines(threading.Thread):
    """What a process writes, as it comes."""

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file, self.lines, self.changed = file, [], threading.Condition()
        self.start()

    def run(self):
        for line in self.file:
            with self.changed:
                self.lines.append(line.decode())
                self.changed.notify_all()

    def wait_for(self, begin, fits):
        """The number of the first line from @begin on that fits."""
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            for number in itertools.count(begin):
                while number >= len(self.lines):
                    if not self.changed.wait(deadline - time.monotonic()):
                        raise AssertionError(f"nothing that fits within {PATIENCE} s in {[line[:150] for line in self.lines[begin:][-20:]]}")
                if fits(self.lines[number]):
                    return number


def label(line):
    """The best label of a frame; None before the first result"""
    best = [max(o["clip"]["labels"], key=lambda x: x["confidence"])["label"] for o in json.loads(line)["objects"]]
    return best[0] if best else None


class Server:
    def __init__(self, case, *options, port=0):
        self.process = subprocess.Popen(["/usr/bin/python3", SERVER, str(port), *options], stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, env=environment())
        case.addCleanup(self.kill)
        text = self.process.stdout.readline()
        assert text, "the server did not start; are the packages of tests/install-packages there?"
        self.port = int(text)

    def url(self, path, login=""):
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Tagging:
    """A tag-rtsp that runs meanwhile."""

    def __init__(self, case, *arguments, **changes):
        command = [TAG, *arguments, "-m", "demo", "-i", "3", "--delay", "0.1", "--max-delay", "0.4"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(**changes))
        self.out, self.err = Lines(self.process.stdout), Lines(self.process.stderr)
        case.addCleanup(self.kill)

    def kill(self):
        self.process.kill()
        self.process.wait()
        for lines in (self.out, self.err):
            lines.join()
            lines.file.close()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self.out.join()
        self.err.join()
        return status

    def wait_for_label(self, wanted, begin=0):
        return self.out.wait_for(begin, lambda line: label(line) == wanted)

    def wait_for_status(self, words, begin=0):
        return self.err.wait_for(begin, lambda line: words in line)

    def resources(self):
        """-> (threads, file descriptors, MB)"""
        folder = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(re.findall(r"^(\w+):\s+(\d+)", (folder / "status").read_text(), re.M))
        return int(status["Threads"]), len(list((folder / "fd").iterdir())), int(status["VmRSS"]) / 1024


class Reconnects(unittest.TestCase):
    def test_server_killed_ten_times(self):
        server = Server(self, "cam=smpte")
        port = server.port
        tagging = Tagging(self, server.url("cam"), PROMPTS, "--transport", "tcp", "--source", "door",
                          GST_DEBUG="clipclassify:4", GST_DEBUG_NO_COLOR="1")
        tagging.wait_for_label(SCENES["smpte"])
        resources, heard = [], 0
        for pattern in itertools.islice(itertools.cycle(["snow", "black", "checkers-8", "smpte"]), 10):
            server.kill()
            heard = tagging.wait_for_status("door: lost", heard) + 1
            time.sleep(.2)  # the last lines of the old stream
            begin = len(tagging.out.lines)
            server = Server(self, f"cam={pattern}", port=port)
            heard = tagging.wait_for_status("door: again", heard) + 1
            frame = tagging.wait_for_label(SCENES[pattern], begin)
            tagging.wait_for_label(SCENES[pattern], frame + 10)
            # fresh from the first result on
            self.assertEqual({label(line) for line in tagging.out.lines[begin:]} - {None}, {SCENES[pattern]})
            resources.append(tagging.resources())
        self.assertEqual(tagging.end(), 0)
        print(f"threads, descriptors, MB after the second connection {resources[1]}, after the last {resources[-1]}")
        self.check_flat(resources)
        self.check_lines(tagging)

    def check_flat(self, resources):
        (threads, descriptors, memory), last = resources[1], resources[-1]
        # one leaked each time would be 8
        self.assertLess(last[0] - threads, 4, resources)
        self.assertLess(last[1] - descriptors, 4, resources)
        self.assertLess(last[2] - memory, 8, resources)

    def check_lines(self, tagging):
        frames = [json.loads(line) for line in tagging.out.lines]  # the last is whole, too
        times = [frame["timestamp"] for frame in frames]
        self.assertEqual(times, sorted(set(times)))
        self.assertEqual({frame["source"] for frame in frames}, {"door"})
        self.assertEqual({o["clip"]["prompts_serial"] for frame in frames for o in frame["objects"]}, {1})
        loaded = [line for line in tagging.err.lines if "matrix products by" in line]
        self.assertEqual(len(loaded), 1, loaded)

    def test_server_hangs_while_it_plays(self):
        server = Server(self, "cam=smpte")
        tagging = Tagging(self, server.url("cam"), PROMPTS, "--timeout", "2")
        tagging.wait_for_label(SCENES["smpte"])
        server.process.send_signal(signal.SIGSTOP)
        heard = tagging.wait_for_status("lost: ")
        server.process.send_signal(signal.SIGCONT)
        heard = tagging.wait_for_status("again, after", heard)
        tagging.wait_for_label(SCENES["smpte"], len(tagging.out.lines))
        self.assertEqual(tagging.end(signal.SIGINT), 0)

    def test_udp_server_killed(self):
        server = Server(self, "cam=smpte")
        tagging = Tagging(self, server.url("cam"), PROMPTS, "--timeout", "2", "--transport", "udp")
        tagging.wait_for_label(SCENES["smpte"])
        server.kill()
        tagging.wait_for_status("lost: ")
        begin = len(tagging.out.lines)
        server = Server(self, "cam=black", port=server.port)
        tagging.wait_for_label(SCENES["black"], begin)
        self.assertEqual(tagging.end(), 0)

    def test_stream_ends(self):
        server = Server(self, "cam=smpte", "--frames", "15")
        tagging = Tagging(self, server.url("cam"), PROMPTS, "--transport", "tcp")
        heard = tagging.wait_for_status("lost: the server ended the stream")
        tagging.wait_for_status("again, after", heard)
        self.assertEqual(tagging.end(), 0)

    def test_two_cameras_and_one_model(self):
        server = Server(self, "one=smpte", "two=snow")
        tagging = Tagging(self, server.url("one"), "--source", "1", server.url("two"), "--source", "2", "--transport",
                          "tcp", PROMPTS)
        tagging.wait_for_label(SCENES["smpte"])
        tagging.wait_for_label(SCENES["snow"])
        self.assertEqual(tagging.end(), 0)
        seen = {(json.loads(line)["source"], label(line)) for line in tagging.out.lines}
        self.assertEqual({pair for pair in seen if pair[1]}, {("1", SCENES["smpte"]), ("2", SCENES["snow"])})

    def test_sound_is_left_out(self):
        server = Server(self, "cam=smpte", "--sound")
        tagging = Tagging(self, server.url("cam"), PROMPTS, "--transport", "tcp")
        tagging.wait_for_label(SCENES["smpte"])
        self.assertEqual(tagging.end(), 0)
        server.process.kill()
        self.assertEqual(server.process.stdout.read().split(), [b"SETUP"])

    def test_one_camera_is_given_up(self):
        server = Server(self, "one=smpte")
        tagging = Tagging(self, server.url("none"), server.url("one"), PROMPTS, "--transport", "tcp")
        tagging.wait_for_status(f"127.0.0.1:{server.port}#1: the server has no such path")
        tagging.wait_for_label(SCENES["smpte"], len(tagging.out.lines))
        self.assertEqual(tagging.end(), 1)

    def test_waits_for_a_server_that_starts_later(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        tagging = Tagging(self, f"rtsp://127.0.0.1:{port}/cam", PROMPTS, "--retry", "forever", "--transport", "tcp")
        tagging.wait_for_status("not there: could not connect")
        Server(self, "cam=black", port=port)
        tagging.wait_for_label(SCENES["black"])
        self.assertEqual(tagging.end(), 0)

    def test_nobody_reads(self):
        server = Server(self, "cam=smpte")
        tag = subprocess.Popen([TAG, server.url("cam"), PROMPTS, "-m", "demo", "--retry", "forever"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.addCleanup(tag.stderr.close)
        self.addCleanup(tag.kill)
        self.assertTrue(tag.stdout.readline())
        server.kill()  # so nothing is written that could fail
        tag.stdout.close()
        self.assertEqual(tag.wait(PATIENCE), 0)


    def test_reader_stops_reading(self):
        server = Server(self, "cam=smpte")
        prompts = ";".join(f"thing {number}" for number in range(100))
        # Lines of more than a page fill the pipe in a moment.
        tag = subprocess.Popen([TAG, server.url("cam"), prompts, "-m", "demo"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.addCleanup(tag.stderr.close)
        self.addCleanup(tag.stdout.close)
        self.addCleanup(tag.kill)
        tag.stdout.readline()
        time.sleep(2)
        tag.send_signal(signal.SIGTERM)
        self.assertEqual(tag.wait(PATIENCE), 1)
        self.assertIn(b"nobody reads", tag.stderr.read())

    def test_nobody_reads_and_the_camera_stays(self):
        server = Server(self, "cam=smpte")
        result = subprocess.run(f"{TAG} {server.url('cam')} '{PROMPTS}' -m demo | head -n 3; exit ${{PIPESTATUS[0]}}",
                                shell=True, executable="/bin/bash", capture_output=True, timeout=PATIENCE, check=False,
                                env=environment())
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertEqual(result.stderr.decode().count("\n"), 1, result.stderr.decode())
        self.assertEqual(result.stdout.count(b"\n"), 3)


class Refusals(unittest.TestCase):
    def tag(self, *arguments, **changes):
        result = run(TAG, *arguments, PROMPTS, "-m", "demo", "--delay", "0.1", "--transport", "tcp", **changes)
        return result.returncode, result.stderr.decode()

    def test_wrong_path(self):
        server = Server(self, "cam=smpte")
        status, text = self.tag(server.url("nothing"))
        self.assertEqual(status, 1)
        self.assertIn("the server has no such path", text)

    def test_nobody_listens(self):
        status, text = self.tag("rtsp://127.0.0.1:9/x", "--retry", "2")
        self.assertEqual(status, 1)
        self.assertEqual(text.count("not there: could not connect; next try"), 2)
        self.assertIn("in 0.1 s", text)
        self.assertIn("in 0.2 s", text)

    def test_silent_server(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            status, text = self.tag(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x", "--timeout", "0.5")
        self.assertEqual(status, 1)
        self.assertIn("no frame for 0.5 s", text)

    def test_wrong_model(self):
        result = run(TAG, "rtsp://127.0.0.1:9/x", PROMPTS, "-m", "/nonexistent", "--retry", "forever")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"/nonexistent", result.stderr)
        self.assertEqual(result.stderr.count(b"\n"), 1, result.stderr)

    def test_no_frame_in_time(self):
        status, text = self.tag("rtsp://127.0.0.1:9/x", "--retry", "forever", "-s", "0.5")
        self.assertEqual(status, 1)
        self.assertIn("there was no frame within 0.5 s", text)

    def test_wrong_password(self):
        server = Server(self, "cam=smpte", "--login", "guard", "s@cret")
        status, text = self.tag(server.url("cam", "guard:wr%40ng@"), "--retry", "forever", GST_DEBUG="3")
        self.assertEqual(status, 1)
        self.assertEqual(text.count("refused the user or the password"), 1)
        for secret in ("guard", "wr%40ng", "wr@ng"):
            self.assertNotIn(secret, text)
        status, text = self.tag(server.url("cam"), "--retry", "forever")
        self.assertEqual(status, 1)
        self.assertIn("asks for a user and a password", text)

    def test_right_password(self):
        server = Server(self, "cam=smpte", "--login", "guard", "s@cret")
        status, text = self.tag(server.url("cam", "guard:s%40cret@"), "-s", "2")
        self.assertEqual(status, 0, text)
        self.assertNotIn("s%40cret", text)
        with tempfile.NamedTemporaryFile("w") as login:
            login.write("guard:s@cret\n")
            login.flush()
            status, text = self.tag(server.url("cam"), "-s", "2", "--login", login.name)
        self.assertEqual(status, 0, text)

    def test_wrong_usage(self):
        for arguments in (["rtsp://user:a/b@host/x"], ["http://host/x"], ["rtsp:///x"], ["rtsp://h/x", "-i", "0"],
                          ["rtsp://h/x", "--source", "a", "--source", "b"], ["rtsp://h/x", "--login", "/nonexistent"],
                          ["rtsp://h/x", "--retry", "never"],
                          ["rtsp://h/x", "--timeout", "nan"],
                          ["rtsp://user:secret\u2100@host/x"], ["rtsp://user:secret@[host/x"]):
            status, text = self.tag(*arguments)
            self.assertEqual(status, 2, arguments)
            self.assertNotIn("a/b", text)
            self.assertNotIn("secret", text)
        result = run(TAG, "rtsp://one/x", "rtsp://user:secret@two/x")
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"expected prompts", result.stderr)
        self.assertNotIn(b"secret", result.stderr)
