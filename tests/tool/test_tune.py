# SPDX-License-Identifier: LGPL-2.1-or-later
"""gst-clip-1.0 tune: with few sets of parameters, for each is compiled for seconds on a CPU device."""
import configparser
import json
import pathlib
import signal
import subprocess
import tempfile
import unittest

from support import DATA, TOOL, environment, run, tool

MODEL = DATA / "vit-tiny"
COMMON = TOOL, "tune", "--json", "--model", MODEL, "--batch", "1"
WAIT = 500


def tuned_files(folder):
    return sorted(pathlib.Path(folder).glob("gst-clip/tuned/*"))


class Tune(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.data = cls.folder.name
        result = run(*COMMON, "--tries", "1", timeout=WAIT, XDG_DATA_HOME=cls.data)
        assert result.returncode == 0, result.stderr.decode()
        cls.progress, cls.answer = result.stderr.decode(), json.loads(result.stdout)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def info(self, data):
        result = tool("info", "--json", "--model", MODEL, XDG_DATA_HOME=data)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["tuned"], result.stderr.decode()

    def test_answer(self):
        answer = self.answer
        self.assertEqual((answer["precision"], answer["tried"], answer["stopped"]), ("fp32", 2, False))
        self.assertLessEqual(answer["wrong"] + answer["failed"], 2)
        self.assertGreater(answer["before_ms"], 0)
        self.assertLessEqual(answer["after_ms"], answer["before_ms"])
        for product in answer["products"]:
            self.assertTrue(min(product.values()) > 0, product)
        # the MLP of the picture: 17 tokens of 64, 4 layers wide
        sizes = [(product["m"], product["n"], product["k"]) for product in answer["products"]]
        self.assertIn((17, 256, 64), sizes)
        self.assertIn((17, 64, 256), sizes)
        self.assertEqual(self.progress.count("GFLOP/s"), len(sizes))
        self.assertIn("GST_CLIP_GEMM=clblast", self.progress)

    def test_stored(self):
        files = tuned_files(self.data)
        self.assertEqual([str(file) for file in files], [self.answer["stored"]] if self.answer["stored"] else [])
        self.assertEqual(bool(files), bool(self.answer["parameters"]))
        for file in files:
            stored = configparser.ConfigParser()
            stored.optionxform = str
            stored.read(file)
            self.assertEqual(stored["device"]["clblast"], self.answer["clblast"])
            parameters = {name: {key: int(value) for key, value in stored[f"fp32 {name}"].items()}
                          for name in self.answer["parameters"]}
            self.assertEqual(parameters, self.answer["parameters"])

    def test_info(self):
        self.assertEqual(self.info(self.data), (bool(self.answer["stored"]), ""))
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(self.info(empty), (False, ""))

    def test_damaged(self):
        with tempfile.TemporaryDirectory() as folder:
            if not self.answer["stored"]:
                self.skipTest("no parameters were better than CLBlast's own")
            name = self.answer["stored"].replace(self.data, folder)
            file = pathlib.Path(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("[device]\nkey=")
            is_tuned, warnings = self.info(folder)
            self.assertFalse(is_tuned)
            self.assertIn(name, warnings)
            self.assertIn("gst-clip-1.0 tune", warnings)

    def interrupted(self, folder, lines):
        """Ctrl-C after @lines products"""
        command = [str(part) for part in COMMON + ("--tries", "1000")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment(XDG_DATA_HOME=folder)) as process:
            seen = 0
            for line in process.stderr:
                seen += "GFLOP/s" in line
                if seen == lines:
                    break
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=WAIT)
        everything = lines == len(self.answer["products"])
        self.assertEqual(process.returncode, 0 if everything else 1, errors)
        if everything:
            answer = json.loads(output)
            self.assertTrue(answer["stopped"])
            self.assertEqual(len(answer["products"]), lines)
            self.assertEqual(bool(answer["stored"]), bool(tuned_files(folder)))
            self.assertEqual(self.info(folder), (bool(answer["stored"]), ""))
        else:
            self.assertEqual(output, "")
            self.assertIn("stopped before", errors)
            self.assertEqual(tuned_files(folder), [])

    def test_interrupted(self):
        with tempfile.TemporaryDirectory() as folder:
            self.interrupted(folder, 1)
            self.interrupted(folder, len(self.answer["products"]))

    def store(self, folder, name, values):
        """What an earlier run could have found"""
        file = pathlib.Path(self.answer["stored"].replace(self.data, folder))
        text = pathlib.Path(self.answer["stored"]).read_text()
        file.parent.mkdir(parents=True)
        file.write_text(text[:text.index("[fp32")] + f"[fp32 {name}]\n"
                        + "".join(f"{key}={value}\n" for key, value in values.items()))
        self.assertEqual(self.info(folder), (True, ""))
        return file

    def test_goes_on(self):
        """The stored set is the first that is tried; of one for each kernel it is the only one"""
        xgemm = dict(GEMMK=0, KREG=1, KWG=16, KWI=2, MDIMA=8, MDIMC=8, MWG=16, NDIMB=8, NDIMC=8, NWG=32, SA=0, SB=0,
                     STRM=0, STRN=0, VWM=2, VWN=4)
        if not self.answer["stored"]:
            self.skipTest("no parameters were better than CLBlast's own")
        with tempfile.TemporaryDirectory() as folder:
            self.store(folder, "Xgemm", xgemm)
            result = run(*COMMON, "--tries", "1", timeout=WAIT, XDG_DATA_HOME=folder)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(json.loads(result.stdout)["parameters"].get("Xgemm"), (None, xgemm))

    def test_keeps(self):
        """What an earlier run found of a kernel to which an interrupted one did not come"""
        direct = dict(KWID=2, MDIMAD=8, MDIMCD=8, NDIMBD=8, NDIMCD=8, PADA=1, PADB=1, VWMD=1, VWND=1, WGD=8)
        if not self.answer["stored"]:
            self.skipTest("no parameters were better than CLBlast's own")
        with tempfile.TemporaryDirectory() as folder:
            file = self.store(folder, "XgemmDirect", direct)
            self.interrupted(folder, len(self.answer["products"]))
            stored = configparser.ConfigParser()
            stored.optionxform = str
            stored.read(file)
            self.assertEqual({key: int(value) for key, value in stored["fp32 XgemmDirect"].items()}, direct)

    def test_refused(self):
        for status, words, arguments in (
                (2, "--batch", ("--batch", "0")), (2, "--batch", ("--batch", "1,,8")), (2, "--batch", ("--batch", "257")),
                (2, "--seconds", ("--seconds", "0")), (2, "--tries", ("--tries", "-1")),
                (2, "fp32", ("--precision", "int8")), (1, "no OpenCL device fits", ("--device", "nothing like it")),
                (1, "/nonexistent", ("--model", "/nonexistent"))):
            result = run(*COMMON, *arguments)
            self.assertEqual(result.returncode, status, result.stderr)
            self.assertIn(words, result.stderr.decode())
            self.assertEqual(result.stdout, b"")

    def test_unwritable(self):
        result = run(*COMMON, XDG_DATA_HOME="/dev/null")
        self.assertEqual((result.returncode, result.stdout), (1, b""), result.stderr)
        self.assertIn("cannot store /dev/null/gst-clip/tuned/", result.stderr.decode())
        self.assertNotIn("GFLOP/s", result.stderr.decode())  # not after minutes

    def test_help(self):
        result = tool("tune", "--help")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        self.assertIn(b"--seconds", result.stdout)


if __name__ == "__main__":
    unittest.main()
