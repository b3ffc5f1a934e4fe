"""Asks IMDS for a token over and over, each time over a new connection, until its standard input ends.

Says `ready` when it goes on, and prints at the end how often it asked and what came of it. Argument: the target of the request.
"""
import collections
import json
import socket
import sys
import threading

THREADS = 8
# Silence is the rule while the guard is away; short, so that a way that opens for a moment is met.
TIMEOUT_SECONDS = 0.1

outcomes = collections.Counter()
over = threading.Event()


def ask():
    with socket.create_connection(("169.254.169.254", 80), TIMEOUT_SECONDS) as connection:
        connection.settimeout(2)
        connection.sendall(
            f"GET {sys.argv[1]} HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nConnection: close\r\n\r\n".encode()
        )
        return connection.makefile("rb").readline().decode().split(" ")[1:2]


def hammer():
    while not over.is_set():
        try:
            outcome = (ask() or ["closed"])[0]
        except OSError as error:
            outcome = type(error).__name__
        outcomes[outcome] += 1
        over.wait(0.01)


threads = [threading.Thread(target=hammer) for _ in range(THREADS)]
for thread in threads:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
over.set()
for thread in threads:
    thread.join()
print(json.dumps(outcomes))
