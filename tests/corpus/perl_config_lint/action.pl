#!/usr/bin/env perl
# Checks a configuration in INI form. Dies on what cannot be a request at all.
use strict;
use warnings;
use JSON::PP qw(decode_json);

$| = 1;
open(my $fd3, '>&=3') or die;
select((select($fd3), $| = 1)[0]);

my %known = map { $_ => 1 } split ' ', 'host port user timeout';
my $runs = 0;

while (<STDIN>) {
    my $value = decode_json($_)->{value};
    die "config must be text\n" if ref $value->{config};
    my ($section, @problems, %values) = ('');
    my $n = 0;
    for (split /\r?\n/, $value->{config} // '') {
        $n++;
        next if /^\s*(?:[;#].*)?$/;
        if (/^\s*\[\s*([\w.-]+)\s*\]\s*$/) { $section = $1; next }
        if (!/^\s*([\w.-]+)\s*=\s*(.*?)\s*$/) { push @problems, "line $n: expected NAME = VALUE"; next }
        my ($name, $text) = (lc $1, $2);
        push @problems, "line $n: unknown name '$name'" unless $known{$name};
        push @problems, "line $n: '$name' is set twice" if exists $values{"$section.$name"};
        push @problems, "line $n: port must be a number" if $name eq 'port' && $text !~ /^\d{1,5}$/;
        $values{"$section.$name"} = $text;
    }
    print "run ", ++$runs, ": ", scalar(@problems), " problems\n";
    print {$fd3} JSON::PP->new->utf8->canonical->encode({ problems => \@problems, values => \%values }), "\n";
}
