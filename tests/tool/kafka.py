# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Kafka cluster for tests: librdkafka's own, over TCP, with brokers that can be switched off."""
import subprocess
import time

from support import BUILD

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None

SERVER = BUILD / "tests" / "publish" / "kafka-mock"
available = SERVER.exists() and confluent_kafka is not None


class Cluster:
    def __init__(self, brokers, partitions, *topics):
        self.process = subprocess.Popen([SERVER, str(brokers), str(partitions), *topics], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()
        self.partitions = partitions

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n", command

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def produce(self, topic, values):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.address})
        for value in values:
            producer.produce(topic, value.encode())
        assert producer.flush(30) == 0

    def read(self, topic, enough, seconds=60):
        """-> [(key, value)] of all partitions, in order within each, until enough(list) holds"""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": "reader", "enable.auto.commit": False,
                                             "auto.offset.reset": "earliest"})
        consumer.assign([confluent_kafka.TopicPartition(topic, n, confluent_kafka.OFFSET_BEGINNING) for n in range(self.partitions)])
        messages, end = [], time.monotonic() + seconds
        while not enough(messages):
            assert time.monotonic() < end, f"{len(messages)} messages of {topic} within {seconds} s"
            for message in consumer.consume(1000, .2):
                if not message.error():
                    messages.append((message.key().decode(), message.value().decode()))
        consumer.close()
        return messages

    def committed(self, group, topic):
        """How many messages of a topic a group has done"""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": group})
        partitions = consumer.committed([confluent_kafka.TopicPartition(topic, n) for n in range(self.partitions)], timeout=30)
        consumer.close()
        return sum(max(partition.offset, 0) for partition in partitions)
