# SPDX-License-Identifier: LGPL-2.1-or-later
"""pipelines/recognise-action on encoded files, a live picture and a network camera."""
import itertools
import json
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import time
import unittest

import clips
from support import ROOT, environment, run, tool_json

SCRIPT = ROOT / "pipelines" / "recognise-action"
SCENES = "colour bars;television static;a ball"
# a camera with sound, which comes first
SERVER = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
server.set_address("127.0.0.1")
server.set_service("0")
factory.set_launch("( audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay0 "
                   "videotestsrc is-live=true pattern=snow ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! "
                   "jpegenc ! rtpjpegpay name=pay1 )")
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


def recognise(*arguments, **changes):
    return run(SCRIPT, *arguments, **changes)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def labels(spans):
    return [span["label"] for span in spans]


def of_frame(line):
    """The best label of the frame alone."""
    return max(line["objects"][0]["clip"]["labels"], key=lambda label: label["frame_cosine"])["label"]


def labelled_frames(path):
    """All labels that the frames' lines speak of."""
    return {label["label"] for line in lines(path.read_text()) for o in line["objects"] for label in o["clip"]["labels"]}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)

    def spans(self, *arguments):
        result = recognise(*arguments, "-m", "demo", "--json")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return lines(result.stdout)

    def refuse(self, status, word, *arguments):
        result = recognise(*arguments, "-m", "demo")
        self.assertEqual(result.returncode, status, result.stderr.decode())
        self.assertIn(word, result.stderr.decode())
        self.assertNotIn("Traceback", result.stderr.decode())
        self.assertEqual(result.stdout, b"")


class File(Case):
    """2 s colour bars, 2 s static, 1 s of a ball, with sound."""

    def setUp(self):
        super().setUp()
        self.path = self.top / "scenes.webm"
        scenes = [f"videotestsrc num-buffers={n} pattern={pattern} ! video/x-raw,width=320,height=240,framerate=15/1 ! all."
                  for pattern, n in (("smpte", 30), ("snow", 30), ("ball", 15))]
        command = f"concat name=all ! vp8enc deadline=1 ! webmmux name=mux ! filesink location={self.path} " + " ".join(scenes)
        result = run("gst-launch-1.0", "-q", *command.split(), *"audiotestsrc num-buffers=215 ! vorbisenc ! mux.".split())
        self.assertEqual(result.returncode, 0, result.stderr.decode())

    def test_table(self):
        result = recognise(self.path, SCENES, "-m", "demo", "-t", "none", "-w", "0.4")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        head, *table = result.stdout.decode().splitlines()
        self.assertEqual(head.split(), "from (s) - to (s) label confidence".split())
        self.assertEqual(len(table), 3)
        end = 0.0
        for line, label in zip(table, SCENES.split(";")):
            start, _, to, *name, confidence = line.split()
            self.assertEqual(" ".join(name), label)
            self.assertEqual(float(start), end)  # without gaps
            self.assertGreater(float(confidence), .8)
            end = float(to)
        self.assertAlmostEqual(end, 5.0, delta=.01)

    def test_single_frames_change_with_the_scene(self):
        spans = self.spans(self.path, SCENES, "-t", "none", "-p", "none", "--hold", "0", "--hysteresis", "0")
        self.assertEqual(labels(spans), SCENES.split(";"))
        for span, (start, end) in zip(spans, ((0, 2), (2, 4), (4, 5))):
            self.assertAlmostEqual(span["from"], start, delta=.001)
            self.assertAlmostEqual(span["to"], end, delta=.001)

    def test_hold_leaves_out_what_is_short(self):
        spans = self.spans(self.path, SCENES, "-t", "none", "-w", "0.2", "--hold", "1.2")
        self.assertEqual(labels(spans), SCENES.split(";")[:2])
        self.assertAlmostEqual(spans[-1]["to"], 5.0, delta=.01)  # nobody took over

    def test_negative(self):
        spans = self.spans(self.path, "colour bars;!television static;a ball", "-t", "none", "-w", "0.2", "--hold", "0.3")
        self.assertEqual(labels(spans), ["colour bars", "a ball"])
        self.assertGreater(spans[1]["from"] - spans[0]["to"], 1.5)

    def test_confidence_is_the_mean_over_the_span(self):
        frames = self.top / "frames.jsonl"
        spans = self.spans(self.path, SCENES, "-t", "none", "-w", "0.4", "--hold", "0.2", "-o", frames)
        seen = lines(frames.read_text())
        self.assertEqual(len(seen), 75)
        for span in spans:
            inside = [label["confidence"] for line in seen if span["from"] <= line["timestamp"] / 1e9 < span["to"]
                      for label in line["objects"][0]["clip"]["labels"] if label["label"] == span["label"]]
            self.assertAlmostEqual(span["confidence"], sum(inside) / len(inside), places=5)

    def test_options_reach_the_element(self):
        prompts, templates, frames = self.top / "labels.txt", self.top / "templates.txt", self.top / "frames.jsonl"
        prompts.write_text("bars\tcolour bars\tTV colour bars\nno signal\ttelevision static\na ball\n")
        templates.write_text("{}\na picture of {}\n")
        spans = self.spans(self.path, "-f", prompts, "-t", templates, "-w", "0.4", "-p", "ema", "-i", "3", "-o", frames)
        self.assertEqual(labels(spans), ["bars", "no signal", "a ball"])
        clip = [line["objects"][0]["clip"] for line in lines(frames.read_text())]
        self.assertEqual([c["inferred"] for c in clip[:6]], [True, False, False] * 2)
        self.assertEqual({c["window"]["pooling"] for c in clip}, {"ema"})

    def test_ucf101_is_the_default(self):
        answers = [self.spans(self.path, SCENES, "--whole", *more) for more in ([], ["-t", "ucf101"], ["-t", "none"])]
        self.assertEqual(answers[0], answers[1])
        self.assertNotEqual(answers[0], answers[2])

    def test_cut(self):
        folder = self.top / "cuts" / "here"
        spans = self.spans(self.path, SCENES, "-t", "none", "-p", "none", "--hold", "0.2", "--cut", folder)
        self.assertEqual(sorted(path.name for path in folder.iterdir()),
                         ["000-colour-bars.webm", "001-television-static.webm", "002-a-ball.webm"])
        for span, path, count in zip(spans, sorted(folder.iterdir()), (30, 30, 15)):
            frames = self.top / "cut.jsonl"
            again = self.spans(path, SCENES, "-t", "none", "-p", "none", "--hold", "0.2", "-o", frames)
            self.assertEqual(len(frames.read_text().splitlines()), count)
            self.assertEqual(labels(again), [span["label"]])
            self.assertAlmostEqual(again[0]["to"], span["to"] - span["from"], delta=.01)

    def test_refusals(self):
        self.refuse(2, "either labels or --prompts-file", self.path)
        self.refuse(2, "either labels or --prompts-file", self.path, "a", "-f", "b")
        self.refuse(2, "are for files", "/dev/video0", "a", "--whole")
        self.refuse(2, "expected 0 to 1", self.path, "a", "-c", "nan")
        self.refuse(1, "there is no file", self.top / "absent.mp4", "a")
        self.refuse(1, "File exists", self.path, "a", "--cut", self.path)
        self.refuse(1, "would write over", self.path, "a", "-o", self.path)
        self.refuse(1, "absent.txt", self.path, "-f", self.top / "absent.txt")
        self.refuse(1, "text file", SCRIPT, "a")
        sound = self.top / "sound.ogg"
        run("gst-launch-1.0", "-q", *f"audiotestsrc num-buffers=20 ! vorbisenc ! oggmux ! filesink location={sound}".split())
        self.refuse(1, "", sound, "a")
        cut = self.top / "cut.webm"
        cut.write_bytes(self.path.read_bytes()[:500])
        for more in ([], ["--whole"]):
            self.refuse(1, "", cut, "a", *more)

    def test_readme(self):
        """Its commands, on a video, a list and a camera of ours."""
        (self.top / "actions.txt").write_text(SCENES.replace(";", "\n") + "\n")
        places = {"in.mp4": self.path, "actions.txt": self.top / "actions.txt", "/dev/video0": "/dev/no-camera",
                  "spans": self.top / "spans", "labels.jsonl": self.top / "labels.jsonl"}
        commands = re.findall(r"^    pipelines/recognise-action (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
        self.assertGreaterEqual(len(commands), 3)
        for command in commands:
            result = recognise(*(places.get(word, word) for word in shlex.split(command)), "-m", "demo", "-s", "4", "-c", "0")
            self.assertEqual(result.returncode, 0, command + result.stderr.decode())
            self.assertGreater(len(result.stdout.splitlines()), 0, command)
        self.assertEqual(labelled_frames(self.top / "labels.jsonl"), {"waving", "falling down"})
        self.assertGreater(len(list((self.top / "spans").glob("*.webm"))), 0)

    def test_no_label_holds(self):
        result = recognise(self.path, SCENES, "-m", "demo", "-c", "1")
        self.assertEqual((result.returncode, result.stdout), (0, b""))
        self.assertIn("no label held", result.stderr.decode())

    def test_help(self):
        self.assertEqual(recognise("--help").returncode, 0)


class Clips(Case):
    def test_whole_file_is_as_eval_says(self):
        """The mean over all frames, by recognise-action and by eval --frames all."""
        painter, chains, files = clips.Painter(7), [], []
        for i, label in enumerate(clips.LABELS[:4]):
            folder = self.top / "data" / label.replace(" ", "_")
            folder.mkdir(parents=True)
            path, words = clips.chain(folder, "clip", painter.company(label), clips.FORMATS[i])
            files.append(path)
            chains.append(words)
        clips.encode(chains)
        for raw in self.top.glob("data/*/*.rgb"):
            raw.unlink()
        results, names = self.top / "results.jsonl", clips.LABELS[:4]
        answer = tool_json("eval", "--json", "--model", "demo", "--frames", "all", "--templates", "ucf101",
                           "--results", results, self.top / "data")
        judged = {line["file"]: line for line in lines(results.read_text())[1:]}
        self.assertEqual((answer["evaluated"], len(judged)), (4, 4))
        for path in files:
            [whole] = self.spans(path, ";".join(names), "--whole")
            self.assertEqual(whole["frames"], clips.FRAMES)
            top = judged[f"{path.parent.name}/{path.name}"]["top"]
            self.assertEqual(len(top), 4)
            for label, best in zip(whole["labels"], top):
                self.assertLess(abs(label["cosine"] - best["cosine"]), 2e-5)

    def test_order_of_scenes(self):
        """A then B, or B then A, with frames of something else between: the mean of all would be the same."""
        painter, chains, files = clips.Painter(11), [], []
        pairs = [(clips.LABELS[i], clips.LABELS[j]) for i, j in ((0, 1), (2, 3), (4, 5), (6, 7), (1, 4))]
        for i, pair in enumerate(pairs + [pair[::-1] for pair in pairs]):
            path, words = clips.chain(self.top, f"{i:02d}", painter.order(*pair), clips.FORMATS[i % 4])
            files.append((path, list(pair)))
            chains.append(words)
        clips.encode(chains)
        told, frames = {"single frames": 0, "windows": 0}, self.top / "frames.jsonl"
        for path, pair in files:
            spans = self.spans(path, ";".join(clips.LABELS), "-t", "none", "-w", "0.7", "--hold", "0.4", "-c", "0", "-o", frames)
            told["windows"] += labels(spans) == pair
            told["single frames"] += [label for label, _ in itertools.groupby(map(of_frame, lines(frames.read_text())))] == pair
        print(f"\norder of scenes told right, of {len(files)}: {told}")
        self.assertGreater(told["windows"], told["single frames"])
        self.assertGreaterEqual(told["windows"], 8)


class Live(Case):
    def test_stand_in(self):
        result = recognise("/dev/no-camera", "colour bars;a ball", "-t", "none", "-m", "demo", "-s", "4", "--json")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertIn("stands in", result.stderr.decode())
        [span] = lines(result.stdout)
        self.assertEqual(span["label"], "colour bars")
        self.assertGreater(span["confidence"], .9)
        self.assertGreater(span["to"] - span["from"], .5)
        self.assertLess(span["to"], 10)

    def test_interrupt_ends_the_span(self):
        frames = self.top / "frames.jsonl"
        process = self.start("/dev/no-camera", "colour bars;a ball", frames)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors.decode())
        self.assertIn("colour bars", out.decode())
        json.loads(frames.read_text().splitlines()[-1])  # whole lines

    def start(self, source, prompts, frames):
        """-> the process, when it has labelled frames"""
        process = subprocess.Popen([str(SCRIPT), source, prompts, "-t", "none", "-m", "demo", "--hold", "0", "-o", str(frames)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (frames.exists() and '"window"' in frames.read_text()):
            time.sleep(.1)
        return process

    def serve(self):
        """-> (the server's process, its port)"""
        server = subprocess.Popen(["/usr/bin/python3", "-c", SERVER], stdout=subprocess.PIPE, env=environment())
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return server, int(server.stdout.readline())

    def test_network_camera_goes_away(self):
        server, port = self.serve()
        process = self.start(f"rtspt://127.0.0.1:{port}/camera", "colour bars;television static", self.top / "frames.jsonl")
        server.kill()
        out, errors = process.communicate(timeout=60)
        self.assertIn("television static", out.decode(), errors.decode())
        self.assertNotIn("Traceback", errors.decode())

    def test_network_camera(self):
        _, port = self.serve()
        [span] = self.spans(f"rtsp://127.0.0.1:{port}/camera", "colour bars;television static", "-t", "none", "-s", "5")
        self.assertEqual(span["label"], "television static")
        self.assertGreater(span["to"] - span["from"], .5)
        self.refuse(1, "", f"rtsp://127.0.0.1:{port}/absent", "a")
