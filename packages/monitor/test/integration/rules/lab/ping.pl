# Sends one ICMP echo request and prints what comes back within a second. Node has no ICMP sockets, and `ping` is not
# everywhere, while Perl is part of every Debian.
use strict;
use warnings;
use Socket;

my ($address) = @ARGV;
socket(my $socket, AF_INET, SOCK_DGRAM, getprotobyname('icmp') // 1) or die "socket: $!";
connect($socket, pack_sockaddr_in(0, inet_aton($address))) or die "connect: $!";
send($socket, pack('C C n n n', 8, 0, 0, 0, 1), 0) or die "send: $!";
vec(my $readable = '', fileno($socket), 1) = 1;
if (!select($readable, undef, undef, 1)) { print "silence\n" }
elsif (defined recv($socket, my $answer, 64, 0)) { print "answer\n" }
else { print "refused\n" }
