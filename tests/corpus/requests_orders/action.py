import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

# one session for all activations of this container
session = requests.Session()
session.mount("http://", HTTPAdapter(max_retries=Retry(total=2, status_forcelist=[503])))


def orders(base, status):
    page = 1
    while page:
        response = session.get(
            base + "/orders", params={"status": status, "page": page}, timeout=(3, 10)
        )
        response.raise_for_status()
        body = response.json()
        print("page %d: %d orders" % (page, len(body["orders"])))
        yield from body["orders"]
        page = body["next"]


def main(params):
    base = params["url"]
    session.headers["Authorization"] = "Bearer " + params.get("token", "")
    totals = {}
    try:
        for order in orders(base, params.get("status", "open")):
            totals[order["customer"]] = totals.get(order["customer"], 0) + order["cents"]
    except requests.HTTPError as e:
        return {"error": {"status": e.response.status_code, "message": e.response.json()["message"]}}
    report = {"totals": {name: cents / 100 for name, cents in sorted(totals.items())}}
    answer = session.post(base + "/reports", json=report, timeout=10)
    if answer.status_code != 201:
        return {"error": "report was not taken: %d" % answer.status_code}
    return answer.json()
