"""nbval runs the chapters with the same arithmetic as `make notebooks`, which stored them."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "_ext"))
from execute import SAME_ARITHMETIC

os.environ.update(SAME_ARITHMETIC, PYTHONHASHSEED="0")
