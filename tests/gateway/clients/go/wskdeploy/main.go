// The command wskdeploy, as its project makes it.
package main

import "github.com/apache/openwhisk-wskdeploy/cmd"

func main() { cmd.Execute() }
