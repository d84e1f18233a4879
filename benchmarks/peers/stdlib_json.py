"""The least that any program does that goes through Python objects: json.load, then json.dump, with defaults.

python stdlib_json.py SOURCE.json TARGET.json
"""

from __future__ import annotations

import json
import sys

with open(sys.argv[1]) as source:
    content = json.load(source)
with open(sys.argv[2], "w") as target:
    json.dump(content, target)
