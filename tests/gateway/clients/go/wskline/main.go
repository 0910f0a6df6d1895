// Reads the command line of wsk as far as an export uses it, and does it with the library of wsk.
//
// Address and key come from the file of wsk, whose path is in WSK_CONFIG_FILE. An option that is
// not known ends the program, and so does an answer other than a success.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/apache/openwhisk-client-go/whisk"
)

var flags = map[string]bool{ // whether an option has a value
	"--kind": true, "--main": true, "--native": false, "--docker": true, "--sequence": true,
	"--param-file": true, "--annotation-file": true, "--shared": true,
	"--timeout": true, "--memory": true, "--logsize": true, "--concurrency": true,
}

func main() {
	words, options := read(os.Args[1:])
	client, err := whisk.NewClient(http.DefaultClient, config(os.Getenv("WSK_CONFIG_FILE")))
	check(err)
	switch strings.Join(words[:2], " ") {
	case "package update":
		_, _, err = client.Packages.Insert(&whisk.Package{
			Name: words[2], Namespace: "_", Publish: shared(options["--shared"]),
			Parameters: values(options["--param-file"]), Annotations: values(options["--annotation-file"]),
		}, true)
	case "action update":
		_, _, err = client.Actions.Insert(action(words[2:], options), true)
	case "trigger update":
		_, _, err = client.Triggers.Insert(&whisk.Trigger{
			Name:       words[2],
			Parameters: values(options["--param-file"]), Annotations: values(options["--annotation-file"]),
		}, true)
	case "rule update":
		_, _, err = client.Rules.Insert(&whisk.Rule{Name: words[2], Trigger: words[3], Action: words[4]}, true)
	case "rule enable":
		_, _, err = client.Rules.SetState(words[2], "active")
	case "rule disable":
		_, _, err = client.Rules.SetState(words[2], "inactive")
	default:
		err = fmt.Errorf("no command %q", words)
	}
	check(err)
}

func read(arguments []string) (words []string, options map[string]string) {
	options = map[string]string{}
	for at := 0; at < len(arguments); at++ {
		word := arguments[at]
		hasValue, known := flags[word]
		switch {
		case !strings.HasPrefix(word, "-"):
			words = append(words, word)
		case !known:
			check(fmt.Errorf("no option %s", word))
		case hasValue:
			at++
			options[word] = arguments[at]
		default:
			options[word] = "yes"
		}
	}
	return words, options
}

func config(path string) *whisk.Config {
	content, err := os.ReadFile(path)
	check(err)
	found := &whisk.Config{Namespace: "_", Version: "v1", Insecure: true}
	for _, line := range strings.Split(string(content), "\n") {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "APIHOST":
			found.Host = value
		case "AUTH":
			found.AuthToken = value
		}
	}
	return found
}

func action(words []string, options map[string]string) *whisk.Action {
	made := &whisk.Action{
		Name: words[0], Exec: &whisk.Exec{Kind: options["--kind"], Main: options["--main"]},
		Parameters: values(options["--param-file"]), Annotations: values(options["--annotation-file"]),
		Limits: &whisk.Limits{
			Timeout: number(options["--timeout"]), Memory: number(options["--memory"]),
			Logsize: number(options["--logsize"]), Concurrency: number(options["--concurrency"]),
		},
	}
	if components, given := options["--sequence"]; given {
		made.Exec.Kind, made.Exec.Components = "sequence", strings.Split(components, ",")
		return made
	}
	if options["--native"] != "" {
		made.Exec.Kind, made.Exec.Image = "blackbox", "openwhisk/dockerskeleton"
	}
	if image, given := options["--docker"]; given {
		made.Exec.Kind, made.Exec.Image = "blackbox", image
	}
	content, err := os.ReadFile(words[1])
	check(err)
	code := string(content)
	if suffix := filepath.Ext(words[1]); suffix == ".zip" || suffix == ".bin" {
		code = base64.StdEncoding.EncodeToString(content)
	}
	made.Exec.Code = &code
	return made
}

func values(path string) whisk.KeyValueArr {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	check(err)
	given := map[string]any{}
	check(json.Unmarshal(content, &given))
	found := whisk.KeyValueArr{}
	for key, value := range given {
		found = append(found, whisk.KeyValue{Key: key, Value: value})
	}
	return found
}

func number(text string) *int {
	if text == "" {
		return nil
	}
	found, err := strconv.Atoi(text)
	check(err)
	return &found
}

func shared(text string) *bool {
	found := text == "yes"
	return &found
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
