# Sends one UDP packet to port 80 of an address, by a loose or strict source route over another one (RFC 791, 3.1). Node
# cannot set IP options, while Perl is part of every Debian.
use strict;
use warnings;
use Socket;

my ($kind, $via, $address) = @ARGV;
my $type = $kind eq 'strict' ? 137 : 131;
socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die "socket: $!";
# IP_OPTIONS is 4 (ip(7)). A pointer of 4 is at the first address; one more byte fills the word.
setsockopt($socket, 0, 4, pack('C C C a4 C', $type, 7, 4, inet_aton($via), 0)) or die "options: $!";
# A strict route asks that its first address is a neighbour, which the client's gateway is.
send($socket, '?', 0, pack_sockaddr_in(80, inet_aton($address))) or die "send: $!";
