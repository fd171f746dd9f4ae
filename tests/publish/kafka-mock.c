/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Kafka cluster for tests, librdkafka's, on TCP: kafka-mock BROKERS PARTITIONS TOPIC...
 * Prints its address, then obeys lines of standard input: "down N" and "up N" (a broker, from 1), "fail N" (the next N
 * requests to produce get an error that passes), and answers each with a line. Ends with its standard input. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCE 0 /* the API's key in Kafka's protocol */

static void
fail_requests (rd_kafka_mock_cluster_t *cluster, int n)
{
  for (int i = 0; i < n; i++)
    rd_kafka_mock_push_request_errors (cluster, PRODUCE, 1,
        i % 2 ? RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS : RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
}

static int
obey (rd_kafka_mock_cluster_t *cluster, const char *line)
{
  char what[16];
  int n;
  if (sscanf (line, "%15s %d", what, &n) != 2)
    return 0;
  if (strcmp (what, "down") == 0)
    return rd_kafka_mock_broker_set_down (cluster, n) == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (strcmp (what, "up") == 0)
    return rd_kafka_mock_broker_set_up (cluster, n) == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (strcmp (what, "fail") != 0)
    return 0;
  fail_requests (cluster, n);
  return 1;
}

int
main (int argc, char **argv)
{
  char line[64], why[512];
  if (argc < 4)
    return 2;
  rd_kafka_t *handle = rd_kafka_new (RD_KAFKA_PRODUCER, rd_kafka_conf_new (), why, sizeof why);
  rd_kafka_mock_cluster_t *cluster = handle ? rd_kafka_mock_cluster_new (handle, atoi (argv[1])) : NULL;
  if (!cluster)
    return 1;
  for (int i = 3; i < argc; i++)
    rd_kafka_mock_topic_create (cluster, argv[i], atoi (argv[2]), 1);
  printf ("%s\n", rd_kafka_mock_cluster_bootstraps (cluster));
  fflush (stdout);
  while (fgets (line, sizeof line, stdin)) {
    puts (obey (cluster, line) ? "done" : "what?");
    fflush (stdout);
  }
  rd_kafka_mock_cluster_destroy (cluster);
  rd_kafka_destroy (handle);
  return 0;
}
