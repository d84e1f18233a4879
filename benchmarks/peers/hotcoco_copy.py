"""hotcoco (Rust): load a COCO file, save it.

python hotcoco_copy.py SOURCE.json TARGET.json
"""

from __future__ import annotations

import sys

from hotcoco import COCO

COCO(sys.argv[1]).save(sys.argv[2])
