"""Actions in Go, for runtimes that compile it."""

from __future__ import annotations

from typing import Final

from hotwhisk_conformance.flavours import Flavour

_MAP: Final = "map[string]interface{}"


def go_source(function: str) -> str:
    """Return the source of a greeting under that name."""
    return f"""\
package main

import "fmt"

// {function} greets whom it is given.
func {function}(args map[string]interface{{}}) map[string]interface{{}} {{
	return map[string]interface{{}}{{"greeting": fmt.Sprintf("Hello, %v", args["name"])}}
}}
"""


GO_MODULE: Final = "module greeting\n\ngo 1.21\n"
GO_SUBDIR: Final = {
    "main.go": """\
package main

import "greeting/words"

// Main greets with words from a package of its own.
func Main(args map[string]interface{}) map[string]interface{} {
	return map[string]interface{}{"greeting": words.Greet(args["name"])}
}
""",
    "words/words.go": """\
package words

import "fmt"

// Greet makes the sentence.
func Greet(name interface{}) string {
	return fmt.Sprintf("Hello, %v", name)
}
""",
}

GO_ARRAY_RESULT: Final = f"""\
package main

// Main gives two letters.
func Main(args {_MAP}) []interface{{}} {{
	return []interface{{}}{{"a", "b"}}
}}
"""
GO_ARRAY_ARGUMENT: Final = """\
package main

// Main gives back what it got.
func Main(args []interface{}) []interface{} {
	return args
}
"""
_NOT_JSON: Final = """\
package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	out := os.NewFile(3, "results")
	if os.Getenv("__OW_WAIT_FOR_ACK") != "" {
		fmt.Fprintln(out, `{"ok":true}`)
	}
	reader := bufio.NewReader(os.Stdin)
	for {
		if _, problem := reader.ReadBytes('\\n'); problem != nil {
			return
		}
		fmt.Fprintln(out, `"a text is not a dictionary"`)
	}
}
"""


def _function(body: str, *imports: str, name: str = "Main") -> str:
    lines = "".join(f'import "{each}"\n' for each in imports)
    return (
        f"package main\n\n{lines}\n// {name} is called for each activation.\n"
        f"func {name}(args {_MAP}) {_MAP} {{\n{body}}}\n"
    )


GO: Final = Flavour(
    profile="actionloop",
    not_json=_NOT_JSON,
    idle=_function(f"\treturn {_MAP}{{}}\n"),
    echo=_function("\treturn args\n"),
    other_main=_function("\treturn args\n", name="Niam"),
    echo_and_print=_function(
        '\tfmt.Println("hello stdout")\n\tfmt.Fprintln(os.Stderr, "hello stderr")\n\treturn args\n',
        "fmt",
        "os",
    ),
    unicode=_function(
        '\tseparator := args["delimiter"].(string)\n'
        '\ttext := separator + " ☃ " + separator\n\tfmt.Println(text)\n'
        f'\treturn {_MAP}{{"winter": text}}\n',
        "fmt",
    ),
    environment=_function(
        f"\tfound := {_MAP}{{}}\n"
        '\tnames := "api_host api_key namespace action_name action_version activation_id deadline"\n'
        "\tfor _, name := range strings.Fields(names) {\n"
        '\t\tfound[name] = os.Getenv("__OW_" + strings.ToUpper(name))\n\t}\n\treturn found\n',
        "os",
        "strings",
    ),
    init_environment=_function(
        '\tanother, isSet := os.LookupEnv("ANOTHER_VAR")\n'
        '\tif !isSet {\n\t\tanother = "unset"\n\t}\n'
        f'\treturn {_MAP}{{"SOME_VAR": os.Getenv("SOME_VAR"), "ANOTHER_VAR": another}}\n',
        "os",
    ),
)
"""The actions of the basic cases once more, for a runtime that compiles Go."""
