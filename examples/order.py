def main(event: dict, context) -> dict:
    asked = context.cloudevent
    return {
        "specversion": "1.0",
        "type": "com.example.order.confirmed",
        "source": "/orders",
        "subject": asked["id"],
        "data": {"item": event["item"], "total": 3 * event["price"]},
    }
