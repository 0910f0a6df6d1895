"""
Actions in Go, for runtimes that compile it.
"""

from __future__ import annotations

from typing import Final


def go_source(function: str) -> str:
    """
    A greeting under that name.
    """
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
