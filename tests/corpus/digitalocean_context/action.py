def main(event, context):
    name = event.get("name", "stranger")
    left = context.get_remaining_time_in_millis()
    print("function", context.function_name, context.function_version)
    return {
        "body": "Hello %s!" % name,
        "function": [context.function_name, context.function_version],
        "ids": [bool(context.activation_id), bool(context.request_id)],
        "host": context.api_host,
        "in time": 0 < left <= 60000,
    }
