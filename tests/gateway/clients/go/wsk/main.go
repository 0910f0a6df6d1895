// Does with the library of wsk what each command of wsk does.
//
// Each line on standard input is a call: {"do": "action.get", "with": {...}}. Each line on standard
// output is its answer: {"answer": ..., "status": 200} or {"error": "...", "status": 404}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/apache/openwhisk-client-go/whisk"
)

// call has all fields that a command may need; the library's own types are used where it has them.
type call struct {
	Do        string        `json:"do"`
	Name      string        `json:"name"`
	Package   string        `json:"package"`
	State     string        `json:"state"`
	Overwrite bool          `json:"overwrite"`
	Blocking  bool          `json:"blocking"`
	Result    bool          `json:"result"`
	Code      bool          `json:"code"`
	Limit     int           `json:"limit"`
	Skip      int           `json:"skip"`
	Since     int64         `json:"since"`
	Upto      int64         `json:"upto"`
	Docs      bool          `json:"docs"`
	Payload   any           `json:"payload"`
	Action    whisk.Action  `json:"action"`
	Trigger   whisk.Trigger `json:"trigger"`
	Rule      whisk.Rule    `json:"rule"`
	Contents  whisk.Package `json:"contents"`
	Target    whisk.Binding `json:"target"`
}

type answer struct {
	Answer any    `json:"answer"`
	Error  string `json:"error,omitempty"`
	Status int    `json:"status"`
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 128<<20)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		var wanted call
		if err := json.Unmarshal(input.Bytes(), &wanted); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		// As in wsk, each command has a client of its own: some change its settings.
		client, err := whisk.NewClient(http.DefaultClient, &whisk.Config{
			Host: os.Args[1], AuthToken: os.Args[2], Namespace: "_", Version: "v1", Insecure: true,
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		found, response, err := do(client, &wanted)
		given := answer{Answer: found}
		if response != nil {
			given.Status = response.StatusCode
		}
		if err != nil {
			given.Error = err.Error()
		}
		output.Encode(given)
	}
}

func do(client *whisk.Client, wanted *call) (any, *http.Response, error) {
	switch wanted.Do {
	case "action.insert":
		return client.Actions.Insert(&wanted.Action, wanted.Overwrite)
	case "action.get":
		return client.Actions.Get(wanted.Name, wanted.Code)
	case "action.list":
		return client.Actions.List(wanted.Package, &whisk.ActionListOptions{Limit: wanted.Limit, Skip: wanted.Skip})
	case "action.delete":
		response, err := client.Actions.Delete(wanted.Name)
		return nil, response, err
	case "action.invoke":
		return client.Actions.Invoke(wanted.Name, wanted.Payload, wanted.Blocking, wanted.Result)
	case "activation.list":
		return client.Activations.List(&whisk.ActivationListOptions{
			Name: wanted.Name, Limit: wanted.Limit, Skip: wanted.Skip,
			Since: wanted.Since, Upto: wanted.Upto, Docs: wanted.Docs,
		})
	case "activation.get":
		return client.Activations.Get(wanted.Name)
	case "activation.logs":
		return client.Activations.Logs(wanted.Name)
	case "activation.result":
		return client.Activations.Result(wanted.Name)
	case "package.insert":
		return client.Packages.Insert(&wanted.Contents, wanted.Overwrite)
	case "package.bind":
		binding := &whisk.BindingPackage{
			Name: wanted.Name, Parameters: wanted.Contents.Parameters, Binding: wanted.Target,
		}
		return client.Packages.Insert(binding, wanted.Overwrite)
	case "package.get":
		return client.Packages.Get(wanted.Name)
	case "package.list":
		return client.Packages.List(&whisk.PackageListOptions{Limit: wanted.Limit, Skip: wanted.Skip})
	case "package.delete":
		response, err := client.Packages.Delete(wanted.Name)
		return nil, response, err
	case "trigger.insert":
		return client.Triggers.Insert(&wanted.Trigger, wanted.Overwrite)
	case "trigger.get":
		return client.Triggers.Get(wanted.Name)
	case "trigger.list":
		return client.Triggers.List(&whisk.TriggerListOptions{Limit: wanted.Limit, Skip: wanted.Skip})
	case "trigger.delete":
		return client.Triggers.Delete(wanted.Name)
	case "trigger.fire":
		return client.Triggers.Fire(wanted.Name, wanted.Payload)
	case "rule.insert":
		return client.Rules.Insert(&wanted.Rule, wanted.Overwrite)
	case "rule.get":
		return client.Rules.Get(wanted.Name)
	case "rule.list":
		return client.Rules.List(&whisk.RuleListOptions{Limit: wanted.Limit, Skip: wanted.Skip})
	case "rule.delete":
		response, err := client.Rules.Delete(wanted.Name)
		return nil, response, err
	case "rule.state":
		return client.Rules.SetState(wanted.Name, wanted.State)
	case "namespace.list":
		return client.Namespaces.List()
	case "property.get":
		return client.Info.Get()
	}
	return nil, nil, fmt.Errorf("no command %q", wanted.Do)
}
