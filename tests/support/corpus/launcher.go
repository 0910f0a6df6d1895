// The loop that a Go action is compiled with when it has none of its own.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"strings"
)

func serve(requests *bufio.Reader, answers *json.Encoder) error {
	for {
		line, err := requests.ReadBytes('\n')
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var request map[string]interface{}
		if err := json.Unmarshal(line, &request); err != nil {
			return err
		}
		for key, value := range request {
			if text, ok := value.(string); ok && key != "value" {
				os.Setenv("__OW_"+strings.ToUpper(key), text)
			}
		}
		event, _ := request["value"].(map[string]interface{})
		if err := answers.Encode(Main(event)); err != nil {
			return err
		}
	}
}

func main() {
	answers := json.NewEncoder(os.NewFile(3, "answers"))
	if err := answers.Encode(map[string]bool{"ok": true}); err != nil {
		log.Fatal(err)
	}
	if err := serve(bufio.NewReader(os.Stdin), answers); err != nil {
		log.Fatal(err)
	}
}
