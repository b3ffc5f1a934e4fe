# One caller that asks at fixed moments, and measures each answer from the moment at which it was due, so that a server that
# stalls is charged for the requests that came meanwhile (no coordinated omission). In Perl, because Node's own pauses are
# longer than what is measured. Prints its result as JSON. Started by bench/lib/caller.ts.
#
# Usage: caller.pl <host> <port> <own address> <a second> <seconds> <expected status> <new connection each: 0 or 1> < request
use strict;
use warnings;
use Socket qw(:DEFAULT TCP_NODELAY IPPROTO_TCP);
use Time::HiRes qw(clock_gettime clock_nanosleep CLOCK_MONOTONIC TIMER_ABSTIME);

my ($host, $port, $own, $rate, $seconds, $expected, $anew) = @ARGV;
my $request = do { local $/; <STDIN> };

# Until then it is this program that has to get going, and not the server.
my $warm_up = int($rate / 2);
my $total = $rate * $seconds + $warm_up;
my (@latencies, @late, $socket);
my ($failures, $wrong) = (0, 0);

sub now { return clock_gettime(CLOCK_MONOTONIC) }

sub open_socket {
    socket(my $new, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
    bind($new, pack_sockaddr_in(0, inet_aton($own))) or die "bind: $!";
    setsockopt($new, IPPROTO_TCP, TCP_NODELAY, pack('l', 1));
    setsockopt($new, SOL_SOCKET, SO_RCVTIMEO, pack('l!l!', 5, 0));
    return connect($new, pack_sockaddr_in($port, inet_aton($host))) ? $new : undef;
}

# The status, or 0 when there was no whole answer.
sub ask {
    $socket //= open_socket() or return 0;
    defined syswrite($socket, $request) or return 0;
    my ($text, $whole) = ('', undef);
    while (!defined $whole || length $text < $whole) {
        sysread($socket, $text, 65536, length $text) or return 0;
        next if defined $whole || $text !~ /\r\n\r\n/;
        $text =~ /\ncontent-length: (\d+)/i or die 'an answer without a length';
        $whole = index($text, "\r\n\r\n") + 4 + $1;
    }
    undef $socket if $anew || $text =~ /\nconnection: close/i;
    return substr($text, 9, 3);
}

my $start = now() + 0.1;
for my $number (0 .. $total - 1) {
    my $due = $start + $number / $rate;
    clock_nanosleep(CLOCK_MONOTONIC, $due * 1e9, TIMER_ABSTIME) if now() < $due;
    my $late = now() - $due;
    my $status = ask();
    my $latency = now() - $due;
    undef $socket if $status == 0;
    if ($status != $expected) {
        $failures++;
        $wrong++ if $status != 0;
    } elsif ($number >= $warm_up) {
        push @latencies, $latency;
        push @late, $late;
    }
}

sub quantile {
    my ($part, @values) = @_;
    my @sorted = sort { $a <=> $b } @values;
    return int(1e6 * $sorted[$part * $#sorted] + 0.5);
}

die 'no answer was as expected' if !@latencies;
printf qq({"requests":%d,"failures":%d,"wrongAnswers":%d,"p50Micros":%d,"p99Micros":%d,"sentLateP99Micros":%d}\n),
    $total, $failures, $wrong, quantile(0.5, @latencies), quantile(0.99, @latencies), quantile(0.99, @late);
