// The echo of the bench as a program that speaks ActionLoop: a line in, a line out.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
)

type request struct {
	Value map[string]any `json:"value"`
}

func main() {
	answers := json.NewEncoder(os.NewFile(3, "answers")) // one write an answer, and its newline
	answers.SetEscapeHTML(false)
	requests := bufio.NewReader(os.Stdin)
	for {
		line, err := requests.ReadBytes('\n')
		if err != nil {
			return // no more requests will come
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(asked.Value); err != nil {
			log.Fatal(err)
		}
	}
}
