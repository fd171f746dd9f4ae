# SPDX-License-Identifier: LGPL-2.1-or-later
"""The store of what was seen: written by clipindex and by make-store, searched by the tool, compared with NumPy."""
import contextlib
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

try:
    import numpy as np
except ImportError:
    np = None

from support import BUILD, DATA, ROOT, environment, run, tool

MAKE_STORE = BUILD / "tests" / "index" / "make-store"
STEP = .1  # seconds between make-store's entries
BEGIN = 1767225600  # its first entry, UTC
HEADER = 4096  # of a file of vectors


class Base(unittest.TestCase):
    def setUp(self):
        if np is None or not MAKE_STORE.exists():
            self.skipTest("NumPy or SQLite absent")
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.store = self.path / "seen.db"

    def good(self, result):
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stdout.decode()

    def answer(self, command, *arguments):
        return json.loads(self.good(tool(command, self.store, *arguments, "--json")))

    def make(self, rows, segment=64, sources=3):
        file = self.path / "rows.f32"
        rows.astype("<f4").tofile(file)
        return self.good(run(MAKE_STORE, self.store, rows.shape[1], segment, sources, file))

    def export(self):
        self.good(tool("export", self.store, "--npy", self.path / "a.npy", "--jsonl", self.path / "a.jsonl"))
        with open(self.path / "a.jsonl", encoding="utf-8") as file:
            return np.load(self.path / "a.npy"), [json.loads(line) for line in file]

    def segments(self):
        return sorted(pathlib.Path(f"{self.store}.vectors").glob("*.vec"))


def database(path):
    """Committed by each statement, closed at the end"""
    return contextlib.closing(sqlite3.connect(path, isolation_level=None))


def unit_rows(count, dim, seed):
    """With equal rows among them, near and far from each other"""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, dim)).astype("f4")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for _ in range(count // 5):
        rows[rng.integers(count)] = rows[rng.integers(count)]
    return rows


def ranked(rows, query, ids):
    """Brute force in double precision: equal rows have equal sums, the older comes first"""
    scores = (rows[ids].astype("f8") * query.astype("f8")).sum(axis=1)
    order = np.lexsort((ids, -scores))
    return ids[order], scores[order]


def spans_of(ids, scores, sources, gap):
    """-> [(source, first id, last id, best id, hits)] of hits, best first"""
    spans = []
    best = dict(zip(ids.tolist(), scores.tolist()))
    for source in range(sources):
        last = None
        for entry in sorted(i for i in best if i % sources == source):
            if last is not None and (entry - last) * STEP <= gap + 1e-9:
                spans[-1].append(entry)
            else:
                spans.append([entry])
            last = entry
    spans = [(max(span, key=lambda i: (best[i], -i)), span) for span in spans]
    spans.sort(key=lambda s: (-best[s[0]], s[0]))
    return [(f"cam{top % sources}", span[0], span[-1], top, len(span)) for top, span in spans]


class Exact(Base):
    def test_frames(self):
        for dim, seed in ((24, 1), (192, 2), (7, 3)):
            self.store = self.path / f"{dim}.db"
            rows = unit_rows(3000, dim, seed)
            self.make(rows)
            exported, lines = self.export()
            self.assertEqual(exported.tobytes(), rows.tobytes())
            self.assertEqual([line["id"] for line in lines], list(range(3000)))
            for entry in (0, 1234, 2999):
                self.compare(rows, entry, np.arange(3000), [])
            self.compare(rows, 5, np.arange(1, 3000, 3), ["--source", "cam1"])
            self.compare(rows, 5, np.arange(100, 201), ["--from", "10", "--to", "20"])
            self.compare(rows, 5, np.arange(102, 3000, 3), ["--from", "0:00:10", "--source", "cam0"])
            self.compare(rows, 5, np.arange(600, 1201), ["--from", "2026-01-01T00:01:00Z", "--to", "2026-01-01T01:02:00+01:00"])
            self.compare(rows, 5, np.arange(0), ["--from", "9999"])

    def compare(self, rows, entry, ids, options, top=10):
        answer = self.answer("similar", "--entry", str(entry), "--frames", "--top", str(top), *options)
        expected, scores = ranked(rows, rows[entry], ids)
        self.assertEqual(answer["searched"], len(ids))
        self.assertEqual([span["best"]["id"] for span in answer["spans"]], expected[:top].tolist(), options)
        found = np.array([span["score"] for span in answer["spans"]])
        self.assertLess(np.abs(found - scores[:top]).max(initial=0), 1e-7)

    def test_equal_rows_only(self):
        rows = np.tile(unit_rows(1, 24, 4), (500, 1))
        self.make(rows)
        self.compare(rows, 400, np.arange(500), [], top=20)

    def test_spans(self):
        rows = unit_rows(2000, 24, 5)
        self.make(rows)
        for entry, gap, hits in ((7, 2, 300), (8, .5, 1000), (9, 0, 50)):
            answer = self.answer("similar", "--entry", str(entry), "--gap", str(gap), "--hits", str(hits), "--top", "20")
            ids, scores = (part[:hits] for part in ranked(rows, rows[entry], np.arange(2000)))
            expected = spans_of(ids, scores, 3, gap)[:20]
            found = [(s["best"]["source"], round(s["start"] / 1e9 / STEP), round(s["end"] / 1e9 / STEP), s["best"]["id"], s["hits"])
                     for s in answer["spans"]]
            self.assertEqual(found, expected)
            self.assertEqual(answer["spans"][0]["utc_start_ns"], answer["spans"][0]["start"] + BEGIN * 10**9)

    def test_lines(self):
        self.make(unit_rows(10, 24, 6))
        _, lines = self.export()
        line = lines[3]
        self.assertEqual((line["source"], line["timestamp"], line["utc"]), ("cam0", 300000000, "2026-01-01T00:00:00.300Z"))
        self.assertEqual((line["x"], line["y"], line["w"], line["h"], line["tracking_id"], line["roi_type"]), (1, 2, 3, 4, 3, "person"))
        self.assertEqual([label["label"] for label in line["labels"]], ["thing 3", 'a "quoted"\nlabel \U0001f600 \ufffd'])
        people = self.good(tool("similar", self.store, "--entry", "3", LC_ALL="C.UTF-8"))
        self.assertIn("2026-01-01T00:00:00.300Z", people)
        self.assertIn("thing 3", people)


class Crash(Base):
    def agree(self):
        """Rows and vectors agree, in number and, by the export's checksums, in content"""
        vectors, lines = self.export()
        with database(self.store) as db:
            count = db.execute("SELECT count(*) FROM frames").fetchone()[0]
        self.assertEqual((len(vectors), len(lines)), (count, count))
        return count

    def vectors_in_files(self, dim):
        return sum((path.stat().st_size - HEADER) // (dim * 4) for path in self.segments())

    def kill_writer(self, lines):
        """-> entries that were reported as stored before SIGKILL"""
        with subprocess.Popen([str(p) for p in (MAKE_STORE, self.store, 24, 64, 2, "--forever")], stdout=subprocess.PIPE,
                              env=environment()) as process:
            reported = 0
            while lines > 0:
                text = process.stdout.readline()
                self.assertTrue(text)
                if text.strip().isdigit():
                    reported, lines = int(text), lines - 1
            time.sleep(random.random() * .02)
            process.send_signal(signal.SIGKILL)
        return reported

    def test_killed(self):
        total = 0
        for lines in (1, 2, 3, 1, 4):
            total += self.kill_writer(lines)
            after = self.agree()  # a reader repairs nothing and needs no repair
            self.assertGreaterEqual(after, total)
            total = after
        self.make(unit_rows(10, 24, 1))
        self.assertEqual(self.agree(), total + 10)
        self.assertEqual(self.vectors_in_files(24), total + 10)

    def test_torn_tail(self):
        self.make(unit_rows(100, 24, 1))
        with open(self.segments()[-1], "ab") as file:
            file.write(bytes(24 * 4 * 5 + 10))  # five vectors and a bit, whose rows were not committed
        self.assertEqual(self.agree(), 100)
        self.assertIn("5 vectors without rows", self.make(unit_rows(1, 24, 2)))
        self.assertEqual((self.agree(), self.vectors_in_files(24)), (101, 101))

    def test_lost_vectors(self):
        self.make(unit_rows(100, 24, 1))
        last = self.segments()[-1]
        os.truncate(last, last.stat().st_size - 24 * 4 * 3 - 2)  # three and a bit are gone
        result = tool("export", self.store, "--npy", self.path / "x.npy")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"is cut", result.stderr)
        self.assertEqual(sorted(self.path.glob("x.npy*")), [])
        self.assertIn("4 rows without vectors", self.make(unit_rows(2, 24, 2)))
        self.assertEqual((self.agree(), self.vectors_in_files(24)), (98, 98))

    def test_vectors_gone(self):
        self.make(unit_rows(100, 24, 1))
        shutil.rmtree(f"{self.store}.vectors")
        for result in (tool("similar", self.store, "--entry", "1"), run(MAKE_STORE, self.store, 24, 64, 1, "--random", 1)):
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"missing", result.stderr)

    def test_written_while_searched(self):
        with subprocess.Popen([str(p) for p in (MAKE_STORE, self.store, 24, 64, 2, "--forever")], stdout=subprocess.DEVNULL,
                              env=environment()) as writer:
            try:
                self.search_for(3)
                self.assertIsNone(writer.poll())
                second = run(MAKE_STORE, self.store, 24, 64, 2, "--random", 1)
            finally:
                writer.kill()
        self.assertEqual(second.returncode, 1)
        self.assertIn(b"written by another process", second.stderr)

    def search_for(self, seconds):
        while not self.segments() or b"nothing" in tool("similar", self.store, "--entry", "0", "--json").stderr:
            time.sleep(.05)
        end, counts = time.monotonic() + seconds, []
        command = [str(part) for part in (BUILD / "gst" / "gst-clip-1.0", "similar", self.store, "--entry", "0", "--frames", "--json")]
        while time.monotonic() < end:
            readers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) for _ in range(3)]
            for reader in readers:
                out, errors = reader.communicate()
                if b"no entry 0" in errors:  # the first batch is on its way
                    continue
                self.assertEqual(reader.returncode, 0, errors.decode())
                answer = json.loads(out)
                self.assertEqual(answer["spans"][0]["best"]["id"], 0)
                counts.append(answer["searched"])
        self.assertGreater(len(counts), 5)
        self.assertGreater(max(counts), min(counts))

    def test_disk_full(self):
        mount = self.path / "small"
        mount.mkdir()
        if run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount).returncode:
            self.skipTest("no right to mount a file system")
        self.addCleanup(run, "umount", mount)
        self.store = mount / "seen.db"
        result = run(MAKE_STORE, self.store, 192, 64, 1, "--random", 5000)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr.decode(), "full|No space")
        run("mount", "-o", "remount,size=64m", mount)
        before = self.agree()
        self.good(run(MAKE_STORE, self.store, 192, 64, 1, "--random", 5000))
        self.assertEqual(self.agree(), before + 5000)


class Damage(Base):
    def setUp(self):
        super().setUp()
        self.make(unit_rows(300, 24, 1))
        with database(self.store) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.whole = self.path / "whole"
        self.whole.mkdir()
        shutil.copy(self.store, self.whole)
        shutil.copytree(f"{self.store}.vectors", self.whole / "seen.db.vectors")

    def restore(self):
        for path in self.path.glob("seen.db*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copy(self.whole / "seen.db", self.store)
        shutil.copytree(self.whole / "seen.db.vectors", f"{self.store}.vectors")

    def check(self, *command):
        """A clear error or an answer: no signal, no silence"""
        result = run(*command, timeout=20)
        self.assertIn(result.returncode, (0, 1), result.stderr.decode())
        if result.returncode == 1:
            self.assertTrue(result.stderr.strip())
            self.assertNotIn(b"CRITICAL", result.stderr)
        return result

    def check_all(self):
        binary = BUILD / "gst" / "gst-clip-1.0"
        return [self.check(binary, "similar", self.store, "--entry", "7", "--source", "cam1", "--json"),
                self.check(binary, "export", self.store, "--npy", self.path / "o.npy", "--jsonl", self.path / "o.jsonl"),
                self.check(MAKE_STORE, self.store, 24, 64, 1, "--random", 3)]

    def test_fuzz(self):
        rng = random.Random(1)
        failures = 0
        for turn in range(40):
            self.restore()
            victim = self.store if turn % 2 else rng.choice(self.segments())
            data = bytearray(victim.read_bytes())
            if turn % 5 == 0:
                del data[rng.randrange(len(data)):]
            elif turn % 5 == 1:
                data[:] = rng.randbytes(rng.randrange(9000))
            else:
                reach = len(data) if turn % 5 < 4 else 200
                for _ in range(rng.choice((1, 20, 2000))):
                    data[rng.randrange(reach)] = rng.randrange(256)
            victim.write_bytes(data)
            failures += any(result.returncode for result in self.check_all())
        self.assertGreater(failures, 20)

    def test_one_bit(self):
        """Of a vector that is found: the checksum tells; NaN too"""
        for value in (b"\x01", b"\xff\xff\xff\x7f"):
            self.restore()
            with open(self.segments()[0], "r+b") as file:
                file.seek(HEADER + 24 * 4 * 7)
                file.write(value)
            result = self.check(BUILD / "gst" / "gst-clip-1.0", "similar", self.store, "--entry", "7")
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"entry 7", result.stderr)
            self.assertIn(b"damaged", result.stderr)

    def test_foreign(self):
        cases = {"text": b"SQLite is mentioned, no more\n" * 100, "empty": b"", "picture": (DATA / "images" / "one-1x1.png").read_bytes()}
        for name, data in cases.items():
            self.store.write_bytes(data)
            result = tool("similar", self.store, "--entry", "1")
            self.assertEqual(result.returncode, 1, name)
            self.assertIn(b"expected a store", result.stderr, name)
        self.store.unlink()
        with database(self.store) as db:
            db.execute("CREATE TABLE mine (a)")
        for command in ((BUILD / "gst" / "gst-clip-1.0", "export", self.store, "--npy", "/dev/null"), (MAKE_STORE, self.store, 24, 64, 1, "--random", 3)):
            result = run(*command)
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"something else", result.stderr)
        with database(self.store) as db:
            self.assertEqual([row[0] for row in db.execute("SELECT name FROM sqlite_schema")], ["mine"])

    def test_usage(self):
        for arguments in ((), (self.store,), (self.store, "a", "--top", "0"), (self.store, "a", "--from", "soon"), (self.store, "a", "b"),
                          (self.store, "a", "--from", "5", "--to", "2026-01-01"), (self.store, "a", "--from", "5", "--to", "4")):
            self.assertEqual(tool("search", *arguments).returncode, 2, arguments)
        self.assertEqual(tool("export", self.store).returncode, 2)
        self.assertEqual(tool("similar", self.store, "--entry", "300").returncode, 1)
        missing = tool("similar", self.store, "--entry", "1", "--source", "cam9")
        self.assertEqual(missing.returncode, 1)
        self.assertIn(b"cam0, cam1, cam2", missing.stderr)


class Element(Base):
    def launch(self, *pipeline, model="demo", index="", live="", pattern="ball", frames=20, **options):
        parts = shlex.split(f"videotestsrc pattern={pattern} num-buffers={frames} {live} ! video/x-raw,format=RGB,width=96,height=96,framerate=10/1 ! "
                            f"clipclassify model={model} prompts='a ball;colour bars' embedding-meta=true")
        if index:
            parts += ["!", "clipindex", f"location={self.store}", *shlex.split(index)]
        return run("gst-launch-1.0", "-q", *parts, "!", *(pipeline or ("fakesink",)), **options)

    def test_found(self):
        self.good(self.launch(index="source=one start-time=2026-03-01T10:00:00Z"))
        self.good(self.launch(index="source=two", pattern="smpte"))
        vectors, lines = self.export()
        self.assertEqual(len(lines), 40)
        self.assertLess(np.abs(np.linalg.norm(vectors, axis=1) - 1).max(), 1e-5)
        self.assertEqual([line["timestamp"] for line in lines[:20]], [i * 10**8 for i in range(20)])
        self.assertEqual(lines[15]["utc"], "2026-03-01T10:00:01.500Z")
        self.assertIsNone(lines[25]["utc_ns"])
        self.search(vectors, lines)
        self.similar(vectors)

    def search(self, vectors, lines):
        text = np.array(json.loads(self.good(tool("embed", "--json", "--model", "demo", "--text", "colour bars")))["items"][0]["embedding"], "f4")
        answer = self.answer("search", "colour bars", "--model", "demo", "--frames")
        expected, scores = ranked(vectors, text, np.arange(40))
        found = np.array([span["score"] for span in answer["spans"]])
        self.assertLess(np.abs(found - scores[:10]).max(), 1e-6)
        self.assertEqual({span["best"]["source"] for span in answer["spans"]}, {"two"})
        best = answer["spans"][0]["best"]
        self.assertEqual(best["labels"][0]["label"], "colour bars")
        self.assertAlmostEqual(best["labels"][0]["cosine"], answer["spans"][0]["score"], places=5)
        spans = self.answer("search", "colour bars", "--model", "demo")["spans"]
        self.assertEqual([(s["best"]["source"], s["hits"], s["start"], s["end"]) for s in spans], [("two", 20, 0, 1900000000), ("one", 20, 0, 1900000000)])
        ensemble = self.answer("search", "ball", "--model", "demo", "--templates", "simple", "--top", "1")
        self.assertEqual(ensemble["spans"][0]["best"]["source"], "one")
        self.assertEqual(lines[answer["spans"][0]["best"]["id"]], best)
        other = tool("search", self.store, "a ball", "--model", DATA / "vit-tiny")
        self.assertEqual(other.returncode, 1)
        self.assertIn(b"model demo (192 values), the query's model is vit-tiny (40 values)", other.stderr)

    def similar(self, vectors):
        picture = self.path / "bars.png"
        run("gst-launch-1.0", "-q", "videotestsrc", "pattern=smpte", "num-buffers=1", "!", "video/x-raw,format=RGB,width=96,height=96", "!",
            "pngenc", "!", "filesink", f"location={picture}")
        answer = self.answer("similar", picture, "--model", "demo", "--top", "1")
        self.assertEqual(answer["spans"][0]["best"]["source"], "two")
        self.assertGreater(answer["spans"][0]["score"], .99)

    def test_untouched(self):
        for index, name in (("", "without"), ("source=a", "with")):
            self.good(self.launch("filesink", f"location={self.path / name}", index=index))
        self.assertEqual((self.path / "with").read_bytes(), (self.path / "without").read_bytes())

    def test_live_has_utc_and_no_repeats(self):
        before = time.time()
        self.good(self.launch(index="source=a", live="is-live=true", frames=15))
        _, lines = self.export()
        self.assertGreater(len(lines), 3)
        times = [line["timestamp"] for line in lines]
        self.assertEqual(sorted(set(times)), times)
        for line in lines:
            self.assertTrue(before - 1 < line["utc_ns"] / 1e9 < time.time() + 1)

    def test_interval(self):
        parts = shlex.split("videotestsrc num-buffers=30 ! video/x-raw,width=96,height=96 ! clipclassify model=demo prompts=a inference-interval=5 "
                            f"embedding-meta=true ! queue ! clipindex location={self.store} ! fakesink")
        self.good(run("gst-launch-1.0", "-q", *parts))
        _, lines = self.export()
        self.assertEqual([round(line["timestamp"] * 30 / 1e9) for line in lines], [0, 5, 10, 15, 20, 25])
        self.assertEqual({line["source"] for line in lines}, {"clipindex0"})

    def test_two_cameras_one_store(self):
        branch = "videotestsrc pattern={} num-buffers=10 ! video/x-raw,width=96,height=96 ! clipclassify model=demo prompts=a embedding-meta=true " \
                 f"! clipindex location={self.store} source={{}} ! fakesink"
        self.good(run("gst-launch-1.0", "-q", *shlex.split(branch.format("ball", "a") + " " + branch.format("smpte", "b"))))
        _, lines = self.export()
        self.assertEqual(sorted(line["source"] for line in lines), ["a"] * 10 + ["b"] * 10)

    def test_errors(self):
        # async=false: gst-launch-1.0 may hang when an element fails while it waits for the first frame at the sink
        video = "videotestsrc num-buffers=2 ! video/x-raw,width=96,height=96"
        cases = [(f"{video} ! clipclassify model=demo prompts=a ! clipindex location={self.store} ! fakesink async=false", "set embedding-meta=true"),
                 (f"{video} ! clipindex location={self.store} ! fakesink async=false", "put clipclassify"),
                 (f"{video} ! clipindex ! fakesink async=false", "location=seen.db"),
                 (f"{video} ! clipindex location=/nonexistent/a.db ! fakesink async=false", "unable to open"),
                 (f"{video} ! clipindex location={self.path} ! fakesink async=false", "not a regular file"),
                 (f"{video} ! clipindex location={self.store} start-time=noon ! fakesink async=false", "expected a time")]
        for pipeline, expected in cases:
            result = run("timeout", "60", "gst-launch-1.0", "-q", *shlex.split(pipeline))
            self.assertNotEqual(result.returncode, 0, pipeline)
            self.assertIn(expected, result.stderr.decode(), pipeline)
        self.good(self.launch(index="source=a"))
        other = self.launch("fakesink", "async=false", index="source=a", model=DATA / "vit-tiny")
        self.assertNotEqual(other.returncode, 0)
        self.assertIn("model demo (192 values), these are of vit-tiny (40 values)", other.stderr.decode())

    def test_readme(self):
        """The recipe's commands as they stand there, a test picture in place of the camera"""
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        block = re.search(r"\*\*Search over what was seen\*\*.*?\n\n((?:    [^\n]*\n)+)", text, re.S).group(1)
        run("gst-launch-1.0", "-q", "videotestsrc", "pattern=ball", "num-buffers=1", "!", "pngenc", "!", "filesink", f"location={self.path / 'car.png'}")
        commands = [line.strip() for line in block.splitlines()]
        self.assertGreaterEqual(len(commands), 4)
        for command in commands:
            command = command.replace("v4l2src", "videotestsrc num-buffers=20 ! video/x-raw,width=96,height=96")
            result = subprocess.run(["bash", "-c", command], cwd=self.path, capture_output=True, timeout=120, check=False,
                                    env=environment(GST_CLIP_MODEL="demo"))
            self.assertEqual(result.returncode, 0, command + result.stderr.decode())
        self.assertEqual(np.load(self.path / "seen.npy").shape, (20, 192))


if __name__ == "__main__":
    unittest.main()
