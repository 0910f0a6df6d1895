package Report::Access;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(parse_line);

my $LINE = qr{
    ^ (?<address> \S+ ) \s \S+ \s \S+ \s
    \[ (?<time> [^\]]+ ) \] \s
    " (?<method> [A-Z]+ ) \s (?<path> [^\s?"]+ ) (?: \? \S* )? \s HTTP/[\d.]+ " \s
    (?<status> [1-5]\d\d ) \s (?<bytes> \d+ | - )
}x;

sub parse_line {
    my ($text) = @_;
    return unless $text =~ $LINE;
    my %hit = %+;
    $hit{bytes} = 0 if $hit{bytes} eq '-';
    $hit{path} =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    utf8::decode($hit{path});
    return \%hit;
}

1;
