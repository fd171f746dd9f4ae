# SPDX-License-Identifier: LGPL-2.1-or-later
"""How tests/bench joins runs and counts ratios; it needs its peers for all else."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import bench_results
import bench_texts


def run(ours, theirs, peer="openvino", cpu="A", **more):
    row = {"model": "M", "precision": "fp32", "batch": 1, "peer": peer, "unit": "frames/s", "ours": ours, "theirs": theirs, **more}
    return {"machine": {"cpu": cpu, "cores": 2}, "versions": {}, "rows": [row], "absent": {}}


class Results(unittest.TestCase):
    def test_ratio_is_the_median_of_the_pairs(self):
        figures = run([10, 30, 20, 8], [10, 10, 10, 1])
        bench_results.summarise(figures)
        row = figures["rows"][0]
        self.assertEqual((row["ratio"], row["ratio_min"], row["ratio_max"], row["pairs"]), (2.5, 1, 8, 4))
        self.assertEqual((row["ours_median"], row["theirs_median"]), (15, 10))

    def test_join(self):
        parts = [run([1], [2], texts=3, gflop=4), run([5], [6], peer="pytorch"), run([7], [8], texts=9, gflop=10)]
        rows = bench_results.join(parts)["rows"]
        self.assertEqual([row["peer"] for row in rows], ["openvino", "pytorch"])
        self.assertEqual((rows[0]["ours"], rows[0]["theirs"], rows[0]["texts"], rows[0]["gflop"]), ([1, 7], [2, 8], 12, 14))
        self.assertEqual(parts[0]["rows"][0]["ours"], [1])

    def test_other_machines_are_not_joined(self):
        with self.assertRaisesRegex(SystemExit, "cannot be joined"):
            bench_results.join([run([1], [2]), run([1], [2], cpu="B")])


class Prompts(unittest.TestCase):
    def test_names_in_the_templates(self):
        names, prompts = bench_texts.class_names(1000), bench_texts.make_prompts(1000)
        self.assertEqual((len(names), len(set(names)), len(prompts)), (1000, 1000, 80000))
        self.assertTrue(all(names[i // 80] in prompt for i, prompt in enumerate(prompts)))


if __name__ == "__main__":
    unittest.main()
