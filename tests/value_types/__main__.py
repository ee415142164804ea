"""`python -m tests.value_types FOLDER` prints `docs/value-types.md`, computed in that folder."""

import sys
from pathlib import Path

from tests.value_types.page import page
from tests.value_types.table import computed

sys.stdout.write(page(computed(Path(sys.argv[1]))))
