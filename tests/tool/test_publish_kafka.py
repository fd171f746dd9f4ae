# SPDX-License-Identifier: LGPL-2.1-or-later
"""clippublish method=kafka against librdkafka's cluster for tests, whose brokers go away and answer with errors."""
import time
import unittest

import kafka
from publishing import LONG, Publishing, check_order, frame, launch, start, video


@unittest.skipUnless(kafka.available, "built without librdkafka, or python3-confluent-kafka absent")
class Kafka(Publishing):
    def cluster(self, brokers=3):
        cluster = kafka.Cluster(brokers, 4, "clip", "a_dog")
        self.addCleanup(cluster.stop)
        return cluster

    def publish(self, cluster, options="", frames=100, classify=""):
        return launch(f"{video(frames)} {classify} ! clippublish method=kafka address={cluster.address} {options} ! fakesink")

    def numbers(self, messages, source, rate=1000):
        return [frame(value, rate) for key, value in messages if key == source]

    def test_key_topic_and_compression(self):
        cluster = self.cluster(1)
        for compression in ("none", "gzip", "lz4"):
            self.assertRuns(self.publish(cluster, f"source={compression} compression={compression} topic=clip"))
        messages = cluster.read("clip", lambda seen: len(seen) >= 300)
        for compression in ("none", "gzip", "lz4"):
            self.assertEqual(check_order(self.numbers(messages, compression), 100), 0)

    def test_label_in_topic(self):
        cluster = self.cluster(1)
        prompts = self.path / "prompts.txt"
        prompts.write_text("a/dog\ta black picture\nsnow\n", encoding="utf-8")
        self.assertRuns(self.publish(cluster, "topic={label} source=cam0", 5, f"! clipclassify model=demo prompts-file={prompts}"))
        self.assertEqual(len(cluster.read("a_dog", lambda seen: len(seen) >= 5)), 5)

    def fail(self, cluster, count, options, trouble):
        """count messages of two sources; trouble(cluster, down) between"""
        publishers = []
        for source in ("cam0", "cam1"):
            publishers.append(start(
                f"{video(count, live=True, rate=1000)} ! clippublish method=kafka address={cluster.address} source={source} "
                f"queue-policy=spool spool-directory={self.path / source} queue-size=100 max-reconnect-interval=1 {options} "
                "drain-timeout=60000000000 ! fakesink"))
            self.addCleanup(self.stop, publishers[-1])
        trouble()
        self.assertIsNone(publishers[0].poll(), "the trouble came too late to test anything")
        for publisher in publishers:
            output = publisher.communicate(timeout=120)[0].decode()
            self.assertEqual(publisher.returncode, 0, output)
        messages = cluster.read("clip", lambda seen: len({value + key for key, value in seen}) == 2 * count)
        for source in ("cam0", "cam1"):
            check_order(self.numbers(messages, source), count)
            self.assertEqual(list((self.path / source).glob("*.spool")), [])

    def test_brokers_go_away(self):
        """10,000 messages while brokers go, all at once at times: none is lost, each source in order."""
        cluster = self.cluster(3)

        def trouble():
            for down in LONG * ((1,), (2,), (1, 2, 3), (3,), (1, 2, 3)):
                time.sleep(.4)
                for broker in down:
                    cluster.tell(f"down {broker}")
                time.sleep(.3)
                for broker in down:
                    cluster.tell(f"up {broker}")
        self.fail(cluster, 5000 * LONG, "", trouble)

    def test_brokers_answer_with_errors(self):
        """One request at a time: this cluster keeps no sequence numbers and takes the second when the first has failed."""
        cluster = self.cluster(3)

        def trouble():
            for _ in range(5):
                time.sleep(.3)
                cluster.tell("fail 3")
        self.fail(cluster, 1500, "kafka-options=max.in.flight=1", trouble)

    def test_cluster_is_away(self):
        cluster = self.cluster(1)
        cluster.tell("down 1")
        spool = self.path / "spool"
        options = f"queue-policy=spool spool-directory={spool} source=cam0"
        away = self.publish(cluster, options + " drain-timeout=500000000", 200)
        self.assertRuns(away)
        self.assertIn("200 messages stay in the spool", (away.stdout + away.stderr).decode())
        cluster.tell("up 1")
        self.assertRuns(self.publish(cluster, options, 1))
        messages = cluster.read("clip", lambda seen: len(seen) >= 201)
        self.assertEqual(self.numbers(messages, "cam0"), list(range(200)) + [0])

    def test_message_is_too_large(self):
        cluster = self.cluster(1)
        prompts = self.path / "prompts.txt"
        prompts.write_text("long " * 1000 + "\ta black picture\n", encoding="utf-8")
        result = self.publish(cluster, "source=cam0 kafka-options=message.max.bytes=2000", 3,
                              f"! clipclassify model=demo prompts-file={prompts}")
        self.assertRuns(result)
        self.assertIn("a message of", (result.stdout + result.stderr).decode())

    def test_settings(self):
        for options, word in (("", "no address"), ("address=h topic=a/b", "topic is"), ("address=h kafka-options=no.such=1", "no.such"),
                              ("address=h kafka-options=x", "name=value"), ("address=h compression=best", "compression.codec")):
            self.assertErrors(launch(f"{video(1)} ! clippublish method=kafka {options} ! fakesink"), word)
        secret = launch(f"{video(1)} ! clippublish method=kafka address=h kafka-options=sasl.mechanism=PLAIN;sasl.pasword=s3cret-Wort "
                        "! fakesink")
        self.assertErrors(secret, "sasl.pasword")
        self.assertTrue(b"s3cret" not in secret.stdout + secret.stderr)
