from flask import Flask, abort, jsonify, request

app = Flask(__name__)
ORDERS = {}


@app.post("/orders")
def create():
    order = request.get_json()
    number = len(ORDERS) + 1
    ORDERS[number] = order
    return jsonify(number=number, **order), 201


@app.get("/orders/<int:number>")
def show(number):
    if number not in ORDERS:
        abort(404, "no such order")
    return jsonify(ORDERS[number])


@app.errorhandler(404)
def missing(error):
    return jsonify(error=error.description), 404
