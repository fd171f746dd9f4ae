# SPDX-License-Identifier: LGPL-2.1-or-later
"""clippublish method=file: rotation, crashes, full disks, paths that cannot be written."""
import json
import os
import signal
import subprocess

from publishing import Publishing, check_order, frame, launch, start, video, wait_until


class FileBase(Publishing):
    def setUp(self):
        super().setUp()
        self.file = self.path / "labels.jsonl"

    def publish(self, options="", frames=100, source="", **changes):
        return launch(f"{source or video(frames)} ! clippublish file-path={self.file} {options} ! fakesink", **changes)

    def numbers(self, *paths):
        return [frame(line) for path in paths or [self.file] for line in path.read_text().splitlines()]


class File(FileBase):
    def test_video_is_untouched(self):
        with_it, without = self.path / "with", self.path / "without"
        picture = "videotestsrc num-buffers=10 pattern=snow ! video/x-raw,format=I420,width=64,height=48"
        self.assertRuns(launch(f"{picture} ! clippublish file-path={self.file} ! filesink location={with_it}"))
        self.assertRuns(launch(f"{picture} ! filesink location={without}"))
        self.assertEqual(with_it.read_bytes(), without.read_bytes())

    def test_is_what_clipjson_writes(self):
        json_file = self.path / "json"
        self.assertRuns(launch(
            f"{video(5)} ! clipclassify model=demo prompts=snow ! clippublish file-path={self.file} source=cam0 "
            f"! clipjson source=cam0 ! filesink location={json_file}"))
        self.assertEqual(self.file.read_bytes(), json_file.read_bytes())

    def test_appends(self):
        for _ in range(3):
            self.assertRuns(self.publish("interval=10000000"))
        self.assertEqual(self.numbers(), list(range(0, 100, 10)) * 3)

    def test_rotates_by_size(self):
        self.assertRuns(self.publish("rotate-size=4000 fsync=each", frames=500))
        files = sorted(self.path.glob("labels-*.jsonl")) + [self.file]
        self.assertGreater(len(files), 10)
        self.assertTrue(all(0 < path.stat().st_size <= 4000 for path in files))
        self.assertEqual(self.numbers(*files), list(range(500)))

    def test_keeps_so_many(self):
        other = self.path / "labels-other.jsonl"
        other.write_text("{}\n")
        self.assertRuns(self.publish("rotate-size=4000 max-files=3", frames=500))
        files = sorted(self.path.glob("labels-2*.jsonl")) + [self.file]
        self.assertEqual(len(files), 4)
        numbers = self.numbers(*files)
        self.assertEqual(numbers, list(range(numbers[0], 500)))
        self.assertTrue(other.exists())

    def test_rotates_by_time(self):
        self.assertRuns(self.publish("rotate-interval=300000000", source=video(1000, live=True)))
        files = sorted(self.path.glob("labels-*.jsonl")) + [path for path in [self.file] if path.exists()]
        self.assertGreaterEqual(len(files), 3)
        self.assertEqual(check_order(self.numbers(*files), 1000), 0)

    def test_killed(self):
        """Wherever a kill strikes, all lines but at most the last are whole, and the next start repairs."""
        total = 0
        for _ in range(5):
            process = start(f"{video(-1)} ! clippublish file-path={self.file} ! fakesink")
            wait_until(lambda: self.file.exists() and self.file.stat().st_size > total + 20000)
            process.send_signal(signal.SIGKILL)
            self.stop(process)
            whole = self.file.read_bytes().rpartition(b"\n")[0]
            for line in whole.split(b"\n"):
                json.loads(line)
            total = self.file.stat().st_size
        count = whole.count(b"\n") + 1
        self.assertRuns(self.publish(frames=10))
        self.assertEqual(self.numbers()[-10:], list(range(10)))
        self.assertEqual(len(self.numbers()), count + 10)

    def test_torn_line_is_removed(self):
        for torn in (b'{"timestamp":7', b'{', b'{"source":"' + b"x" * 100000):
            self.file.write_bytes(b'{"timestamp":0}\n' + torn)
            self.assertRuns(self.publish(frames=1))
            self.assertEqual(self.numbers(), [0, 0])
        self.file.write_bytes(b'{"timestamp"')
        self.assertRuns(self.publish(frames=1))
        self.assertEqual(self.numbers(), [0])

    def test_file_of_another_kind_is_left_alone(self):
        for content in (b"\x89PNG\r\n\x1a\n" + bytes(1000), b"a,b,c\n1,2,3"):
            self.file.write_bytes(content)
            self.assertErrors(self.publish(), "labels.jsonl", "not a file of JSON lines")
            self.assertEqual(self.file.read_bytes(), content)

    def test_two_writers(self):
        process = start(f"{video(-1, live=True)} ! clippublish file-path={self.file} ! fakesink")
        self.addCleanup(self.stop, process)
        wait_until(lambda: self.file.exists() and self.file.stat().st_size)
        self.assertErrors(self.publish(), "another publisher")

    def test_cannot_be_written(self):
        self.file = self.path / "absent" / "labels.jsonl"
        self.assertErrors(self.publish(), "absent/labels.jsonl", "No such file or directory")
        self.file = self.path
        self.assertErrors(self.publish(), str(self.path))
        self.file = self.path / "pipe"
        os.mkfifo(self.file)
        self.assertErrors(self.publish(), "expected a regular file")

    def test_warning_instead(self):
        """The video goes on, and the file is written as soon as it can be."""
        self.file = self.path / "absent" / "labels.jsonl"
        process = start(f"{video(3000, live=True)} ! clippublish file-path={self.file} on-error=warning queue-size=10000 "
                        "max-reconnect-interval=1 ! fakesink")
        self.addCleanup(self.stop, process)
        for line in process.stdout:
            if b"WARNING" in line:
                self.assertIn(b"No such file or directory", line)
                break
        self.file.parent.mkdir()
        output = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 0)
        self.assertNotIn(b"WARNING", output)
        check_order(self.numbers(), 3000)

    def test_settings(self):
        self.assertErrors(launch(f"{video(1)} ! clippublish ! fakesink"), "no file-path is set")
        self.assertErrors(self.publish("queue-policy=spool spool-directory=/tmp/x"), "queue-policy is spool")


class FullDisk(FileBase):
    """A file system of 64 KiB"""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(self.path)],
                                               capture_output=True, check=False).returncode:
            self.skipTest("a file system can be mounted by root only")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.path)], check=True)

    def test_full(self):
        result = self.publish(frames=2000)
        self.assertErrors(result, "labels.jsonl", "No space left on device")
        content = self.file.read_bytes()
        self.assertTrue(content.endswith(b"\n"))
        numbers = self.numbers()
        self.assertEqual(numbers, list(range(len(numbers))))
        self.assertGreater(len(numbers), 200)

    def test_room_is_made(self):
        filler = self.path / "filler"
        filler.write_bytes(bytes(60000))
        process = start(f"{video(300, live=True, rate=100)} ! clippublish file-path={self.file} on-error=warning "
                        "max-reconnect-interval=1 ! fakesink")
        self.addCleanup(self.stop, process)
        for line in process.stdout:
            if b"WARNING" in line:
                self.assertIn(b"No space left", line)
                break
        self.assertTrue(self.file.read_bytes().endswith(b"\n"))
        filler.unlink()
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(check_order([frame(line, 100) for line in self.file.read_text().splitlines()], 300), 0)
