#!/usr/bin/env python3
"""
Compiles actions in Go, as the ``OW_COMPILER`` of a runtime: MAIN SOURCE-FOLDER TARGET-FOLDER.

The source folder holds a single file called ``exec``, or what was in an archive. A package
without a ``func main()`` of its own gets a launcher that calls the handler, whose name is MAIN
with a capital letter, for each line. The target folder gets ``exec``, and ``exec.env`` if the
runtime has a name for its environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/go/bin", "/usr/lib/go/bin"])
LAUNCHER = """\
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
)

func main() {
	handler := reflect.ValueOf(HANDLER)
	out := os.NewFile(3, "results")
	reader := bufio.NewReader(os.Stdin)
	fmt.Fprintln(out, `{"ok":true}`)
	for {
		line, problem := reader.ReadBytes('\\n')
		if problem != nil {
			return
		}
		request := map[string]json.RawMessage{}
		if problem = json.Unmarshal(line, &request); problem != nil {
			fmt.Fprintf(out, "{\\"error\\":%q}\\n", problem.Error())
			continue
		}
		for key, raw := range request {
			var text string
			if key != "value" && json.Unmarshal(raw, &text) == nil {
				os.Setenv("__OW_"+strings.ToUpper(key), text)
			}
		}
		value := request["value"]
		if value == nil || string(value) == "null" {
			value = []byte("{}")
		}
		argument := reflect.New(handler.Type().In(0))
		if problem = json.Unmarshal(value, argument.Interface()); problem != nil {
			fmt.Fprintf(out, "{\\"error\\":%q}\\n", problem.Error())
			continue
		}
		encoder := json.NewEncoder(out) // adds the end of the line
		encoder.SetEscapeHTML(false)
		if problem = encoder.Encode(handler.Call([]reflect.Value{argument.Elem()})[0].Interface()); problem != nil {
			fmt.Fprintf(out, "{\\"error\\":%q}\\n", problem.Error())
		}
	}
}
"""


def go_program() -> str:
    """Return the path of the compiler; exit with the reason if there is none."""
    found = shutil.which("go", path=PLACES)
    if found is None:
        sys.exit("no Go compiler: install one (Debian: apt install golang-go)")
    return found


def compile_go(main: str, source: Path, target: Path) -> int:
    """Compile, and return the exit code. The compiler writes its messages to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "action")
        shutil.copytree(source, work)
        if (work / "exec").is_file():
            (work / "exec").rename(work / "main.go")
        texts = [file.read_text("utf-8") for file in work.glob("*.go")]
        if not any(re.search(r"^func main\(\)", text, re.MULTILINE) for text in texts):
            text = LAUNCHER.replace("HANDLER", main.capitalize())
            (work / "launcher__.go").write_text(text, "utf-8")
        if not (work / "go.mod").exists():
            (work / "go.mod").write_text("module action\n\ngo 1.18\n", "utf-8")
        own = {"GOCACHE": f"{tempfile.gettempdir()}/go-compile-{os.getuid()}"}
        fixed = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
        done = subprocess.run(
            [go_program(), "build", "-ldflags=-s -w", "-o", target.absolute() / "exec", "."],
            cwd=work,
            env={**own, **os.environ, **fixed, "HOME": folder, "GOPATH": f"{folder}/go"},
            stdout=2,
            check=False,
        )
    if name := os.environ.get("OW_EXECUTION_ENV"):
        (target / "exec.env").write_text(f"{name}\n", "utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(compile_go(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
