#!/usr/bin/env python3
"""Run the echo of the bench as a program that speaks ActionLoop: a line in, a line out."""

import json
import os
import sys

for line in sys.stdin.buffer:
    os.write(3, json.dumps(json.loads(line)["value"]).encode() + b"\n")
