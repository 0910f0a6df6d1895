"""A conductor action: decides which action is next, and keeps the state between them."""


def main(params):
    state = params.pop("$state", None) or {"step": 0, "log": []}
    step = state["step"]
    if "error" in params:
        return {"error": "step %d: %s" % (step, params["error"])}
    if step == 0:
        return {"action": "increment", "params": {"value": params.get("value", 0)}, "state": {"$state": {"step": 1, "log": [step]}}}
    if step == 1:
        return {"action": "double", "params": params, "state": {"$state": {"step": 2, "log": state["log"] + [step]}}}
    return {"params": {"value": params["value"], "log": state["log"]}}
