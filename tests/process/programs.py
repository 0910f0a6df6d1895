"""
Programs that speak ActionLoop, in the languages of this machine.

Each answers ``{"pid": …, "name": …}``, with the name that the request has, and nothing else.
"""

from __future__ import annotations

import io
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

BASH = """\
#!/bin/bash
[ -n "$__OW_WAIT_FOR_ACK" ] && echo '{"ok": true}' >&3
while IFS= read -r line; do
  name=${line##*\\"name\\": \\"}
  name=${name%%\\"*}
  case $line in *'"die"'*) exit 3 ;; esac
  echo "{\\"pid\\": $$, \\"name\\": \\"$name\\"}" >&3
done
"""

PERL = """\
#!/usr/bin/perl
use strict;
use JSON::PP;
open(my $answers, ">&=", 3) or die;
select((select($answers), $| = 1)[0]);
print $answers "{\\"ok\\": true}\\n" if $ENV{"__OW_WAIT_FOR_ACK"};
while (my $line = <STDIN>) {
  my $request = decode_json($line);
  print $answers encode_json({pid => $$ + 0, name => $request->{value}{name}}), "\\n";
}
"""

NODE = """\
#!/usr/bin/env node
const fs = require("fs")
fs.writeSync(3, JSON.stringify({ok: true}) + "\\n")
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const name = JSON.parse(line).value.name
  fs.writeSync(3, JSON.stringify({pid: process.pid, name}) + "\\n")
})
"""

GO = """\
package main

import ("bufio"; "encoding/json"; "fmt"; "os")

func main() {
	answers := os.NewFile(3, "answers")
	fmt.Fprintln(answers, `{ "ok": true }`)
	reader := bufio.NewReader(os.Stdin)
	for {
		line, err := reader.ReadBytes('\\n')
		if err != nil { return }
		var request struct { Value struct { Name string } }
		if json.Unmarshal(line, &request) != nil { os.Exit(1) }
		result := map[string]any{"pid": os.Getpid(), "name": request.Value.Name}
		answer, _ := json.Marshal(result)
		answers.Write(append(answer, '\\n'))
	}
}
"""

PYTHON = """\
#!/bin/sh
exec python3 -u "${0%/*}/loop.py"
"""

LOOP = """\
import json, os, sys, time

def serve(main, acknowledge=bool(os.environ.get("__OW_WAIT_FOR_ACK"))):
    if acknowledge:
        os.write(3, b'{"ok": true}\\n')
    for line in sys.stdin.buffer:
        answer = main(json.loads(line))
        if not isinstance(answer, bytes):
            answer = json.dumps(answer).encode() + b"\\n"
        while answer:
            answer = answer[os.write(3, answer):]
"""


def python(body: str) -> bytes:
    """Return a program in Python, zipped with its `serve`; ``body`` defines what it does."""
    return zipped({"exec": PYTHON, "loop.py": f"{LOOP}\n{body}"})


def zipped(files: dict[str, str | bytes]) -> bytes:
    """Return a zip whose ``exec`` has lost its mode, as from some archivers."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return written.getvalue()


def needs(command: str) -> None:
    """Fail with the reason if a language is missing."""
    if shutil.which(command) is None:
        pytest.fail(f"{command} is needed to run a program in that language")


def go_binary(folder: Path) -> bytes:
    """Return the Go program, compiled now."""
    needs("go")
    (folder / "main.go").write_text(GO)
    built = subprocess.run(
        ["go", "build", "-ldflags=-s -w", "-o", "exec", "main.go"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.fail(f"go build failed: {built.stderr}")
    return (folder / "exec").read_bytes()
