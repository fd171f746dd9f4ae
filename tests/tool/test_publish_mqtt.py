# SPDX-License-Identifier: LGPL-2.1-or-later
"""clippublish method=mqtt against a real mosquitto that is killed, refuses and wants certificates."""
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from publishing import LONG, Publishing, check_order, frame, is_built, launch, start, video, wait_until

MOSQUITTO = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    def __init__(self, folder, *lines):
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        self.config.write_text("\n".join((
            "user root", f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/",
            "max_queued_messages 0", "max_inflight_messages 0", "queue_qos0_messages true", *lines)) + "\n", encoding="utf-8")
        self.process = None

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: accepts(self.port), what="mosquitto did not start")

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait()


class Subscriber:
    """A durable one: what comes while it reconnects waits for it. It acknowledges nothing, and so a broker that is killed
    resets no connection that has something in it."""

    def __init__(self, port):
        self.port, self.marks, self.lines = port, itertools.count(), []
        self.process = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-i", "subscriber", "-c", "-q", "0",
                                         "-t", "clip/#", "-F", "%t\\t%p"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n").split("\t", 1))

    def mark(self):
        """Waits until it is connected and has all that the broker took before"""
        name = str(next(self.marks))

        def send():
            subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "clip/mark", "-m", name],
                           capture_output=True, check=False)
            time.sleep(.1)
            return ["clip/mark", name] in self.lines
        wait_until(send, what="the subscriber is not connected")

    def of(self, topic):
        return [payload for where, payload in self.lines if where == topic]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


@unittest.skipUnless(MOSQUITTO and shutil.which("mosquitto_sub"), "mosquitto absent")
class Mqtt(Publishing):
    def setUp(self):
        super().setUp()
        if not is_built("mqtt"):
            self.skipTest("built without libmosquitto")

    def broker(self, *lines):
        broker = Broker(self.path, *lines)
        broker.start()
        self.addCleanup(lambda: broker.end(signal.SIGKILL))
        return broker

    def subscribe(self, broker):
        subscriber = Subscriber(broker.port)
        self.addCleanup(subscriber.stop)
        subscriber.mark()
        return subscriber

    def publish(self, broker, options="", frames=20, classify=""):
        return launch(f"{video(frames)} {classify} ! clippublish method=mqtt address=127.0.0.1:{broker.port} {options} ! fakesink")

    def test_each_quality_of_service(self):
        broker = self.broker("allow_anonymous true")
        subscriber = self.subscribe(broker)
        for qos in range(3):
            self.assertRuns(self.publish(broker, f"qos={qos} source=cam{qos}", frames=2000))
            subscriber.mark()
            self.assertEqual(check_order([frame(line) for line in subscriber.of(f"clip/cam{qos}")], 2000), 0)

    def test_topic_and_labels(self):
        broker = self.broker("allow_anonymous true")
        subscriber = self.subscribe(broker)
        prompts = self.path / "prompts.txt"
        prompts.write_text("a black/\U0001f436 \"picture\"\ta black picture\n" + "long " * 3000 + "\tsnow\n", encoding="utf-8")
        self.assertRuns(self.publish(broker, "topic=clip/a/{source}/{label} source=c/0", 1,
                                     f"! clipclassify model=demo prompts-file={prompts}"))
        subscriber.mark()
        topic, payload = next(line for line in subscriber.lines if line[0] != "clip/mark")
        self.assertTrue(topic.startswith("clip/a/c_0/a black_\U0001f436 "), topic)
        labels = json.loads(payload)["objects"][0]["clip"]["labels"]
        self.assertEqual(labels[1]["label"], ("long " * 3000).strip())

    def test_broker_is_killed(self):
        """10,000 messages of two sources while the broker is killed five times: none is lost, each source in order."""
        broker = self.broker("allow_anonymous true")
        subscriber = self.subscribe(broker)
        broker.end(signal.SIGTERM)  # keeps the subscription
        broker.start()
        subscriber.mark()
        count, kills = 5000 * LONG, 5 * LONG
        publishers = []
        for source in ("cam0", "cam1"):
            publishers.append(start(
                f"{video(count, live=True, rate=500)} ! clippublish name=p method=mqtt address=127.0.0.1:{broker.port} source={source} "
                f"qos=1 queue-policy=spool spool-directory={self.path / source} queue-size=100 max-reconnect-interval=1 "
                "drain-timeout=60000000000 ! fakesink"))
            self.addCleanup(self.stop, publishers[-1])
        for _ in range(kills):
            before = len(subscriber.of("clip/cam0"))
            wait_until(lambda: len(subscriber.of("clip/cam0")) > before + 50, what="messages do not come again")
            broker.end(signal.SIGKILL)
            time.sleep(.2)
            broker.start()
            subscriber.mark()
        self.assertIsNone(publishers[0].poll(), "the broker was killed too late to test anything")
        for publisher in publishers:
            publisher.communicate(timeout=300)
            self.assertEqual(publisher.returncode, 0)
        subscriber.mark()
        for source in ("cam0", "cam1"):
            check_order([frame(line, 500) for line in subscriber.of("clip/" + source)], count)
            self.assertEqual(list((self.path / source).glob("*.spool")), [])

    def test_spool_survives_a_kill_of_ours(self):
        """No broker, the publisher is killed, then both are there: all that it had spooled comes, and comes first."""
        port, spool = free_port(), self.path / "spool"
        options = (f"method=mqtt address=127.0.0.1:{port} source=cam0 queue-policy=spool spool-directory={spool} "
                   "max-reconnect-interval=1")
        process = start(f"{video(-1)} ! clippublish {options} ! fakesink")
        wait_until(lambda: spool.is_dir() and sum(path.stat().st_size for path in spool.glob("*.spool")) > 200000)
        process.send_signal(signal.SIGKILL)
        self.stop(process)
        broker = Broker(self.path, "allow_anonymous true")
        broker.config.write_text(broker.config.read_text().replace(str(broker.port), str(port)))
        broker.port = port
        broker.start()
        self.addCleanup(lambda: broker.end(signal.SIGKILL))
        subscriber = self.subscribe(broker)
        self.assertRuns(launch(f"{video(10)} ! clippublish {options} ! fakesink"))
        subscriber.mark()
        numbers = [frame(line) for line in subscriber.of("clip/cam0")]
        self.assertEqual(numbers[-10:], list(range(10)))
        self.assertEqual(numbers[:-10], list(range(len(numbers) - 10)))
        self.assertGreater(len(numbers), 1000)

    def test_broker_is_away(self):
        """drop-oldest neither stops the video nor fails; the end says what is lost."""
        port = free_port()
        result = launch(f"{video(5000)} ! clippublish method=mqtt address=127.0.0.1:{port} queue-policy=drop-oldest queue-size=10 "
                        "drain-timeout=300000000 ! fakesink")
        self.assertRuns(result)
        output = result.stdout.decode() + result.stderr.decode()
        self.assertIn("Connection refused", output)
        self.assertIn("10 messages were not acknowledged", output)

    def test_stream_that_waits_can_be_stopped(self):
        """By a broker that is away, and by one that does not answer"""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            for port in (free_port(), silent.getsockname()[1]):
                process = start(f"{video(-1, live=True)} ! clippublish method=mqtt address=127.0.0.1:{port} queue-size=10 "
                                "drain-timeout=100000000 ! fakesink")
                self.addCleanup(self.stop, process)
                wait_until(lambda: b"PLAYING" in process.stdout.readline())
                time.sleep(.5)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
                self.assertEqual(process.returncode, 0)

    def test_password(self):
        passwords, secret = self.path / "passwords", "s3cret-Wort"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "clip", secret], check=True, capture_output=True)
        broker = self.broker("allow_anonymous false", f"password_file {passwords}")
        (self.path / "password").write_text(secret + "\n")
        self.assertRuns(self.publish(broker, f"username=clip password-file={self.path / 'password'}"))
        right = launch(f"-v {video(1)} ! clippublish method=mqtt address=127.0.0.1:{broker.port} username=clip password={secret} "
                       "! fakesink", GST_DEBUG="clip*:9,basetransform:9", G_MESSAGES_DEBUG="all")
        self.assertRuns(right)
        self.assertTrue(secret.encode() not in right.stdout + right.stderr)
        wrong = self.publish(broker, "username=clip password=wrong-Wort")
        self.assertErrors(wrong, f"127.0.0.1:{broker.port}", "not authorised")
        self.assertNotIn("wrong-Wort", wrong.stdout.decode() + wrong.stderr.decode())

    def test_settings(self):
        for options, words in (("", "address is"), ("address=h topic=a/#", "no wildcard"), ("address=h ca-file=/absent", "ca-file"),
                               (f"address=h cert-file={__file__}", "belong together"), ("address=h queue-policy=spool", "spool-directory")):
            self.assertErrors(launch(f"{video(1)} ! clippublish method=mqtt {options} ! fakesink"), words)


@unittest.skipUnless(MOSQUITTO and shutil.which("openssl"), "mosquitto or openssl absent")
class Tls(Publishing):
    def openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.path)

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def certificate(self, name, authority, host):
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={host}",
                     "-addext", f"subjectAltName=DNS:{host}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial",
                     "-days", "2", "-copy_extensions", "copy", "-out", f"{name}.pem")

    def setUp(self):
        super().setUp()
        if not is_built("mqtt"):
            self.skipTest("built without libmosquitto")
        self.authority("right")
        self.authority("other")
        self.certificate("server", "right", "localhost")
        self.certificate("elsewhere", "right", "elsewhere.example")
        self.certificate("client", "right", "cam0")
        self.certificate("stranger", "other", "cam0")

    def run_broker(self, certificate, *lines):
        broker = Broker(self.path, "allow_anonymous true", f"certfile {self.path}/{certificate}.pem", f"keyfile {self.path}/{certificate}.key",
                        *lines)
        broker.start()
        self.addCleanup(lambda: broker.end(signal.SIGKILL))
        return broker

    def publish(self, broker, options):
        options = options.replace("=@", f"={self.path}/")
        return launch(f"{video(50)} ! clippublish method=mqtt address=localhost:{broker.port} {options} ! fakesink")

    def test_certificate_of_the_broker(self):
        broker = self.run_broker("server")
        self.assertRuns(self.publish(broker, "ca-file=@right.pem"))
        self.assertErrors(self.publish(broker, "ca-file=@other.pem"), "TLS was refused", "certificate")
        result = launch(f"{video(50)} ! clippublish method=mqtt address=mqtts://localhost:{broker.port} ! fakesink")
        self.assertErrors(result, "TLS was refused", "certificate")  # the system's authorities do not know it

    def test_host_name(self):
        self.assertErrors(self.publish(self.run_broker("elsewhere"), "ca-file=@right.pem"), "TLS was refused", "certificate")

    def test_certificate_of_ours(self):
        broker = self.run_broker("server", f"cafile {self.path}/right.pem", "require_certificate true")
        self.assertRuns(self.publish(broker, "ca-file=@right.pem cert-file=@client.pem key-file=@client.key"))
        # the broker's alert, an error, may be lost with the connection that it closes; then there is a warning
        for options in ("cert-file=@stranger.pem key-file=@stranger.key", ""):
            result = self.publish(broker, f"ca-file=@right.pem drain-timeout=2000000000 {options}")
            output = (result.stdout + result.stderr).decode()
            self.assertRegex(output, "(ERROR|WARNING): from.*(TLS was refused|refuses our certificate)")
            self.assertTrue(result.returncode != 0 or "50 messages were not acknowledged" in output, output)
