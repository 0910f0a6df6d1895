"""
AWS Lambda's runtime: ``hotwhisk lambda``.

Strategy. In Lambda the runtime is a client: it polls the platform for events and posts the answers.
So this package is a client between the platform and an ordinary server of hotwhisk, which has the
function loaded. It has one loop for each event that may be open at a time. The server does what it
does for every action: it forks its workers from one loaded template, answers for a worker that
dies, replaces it, and lets asynchronous handlers overlap.

In the process of the command run `lambda_runtime`, `runtime_api`, `invocation_loop`,
`function_client` and `function_server`. In the server's workers run `function`, `handler_import`,
`lambda_context`, `function_log` and `snapshot_hooks`. docs/decisions.md says what was rejected.
"""
