"""An SDK's own tests of its API, from its source package: made for a mock server, which they are told here is the relay."""

import json
import os
import sys

from harness import BASE
from pytest_cases import run

root, own = sys.argv[1], json.loads(sys.argv[2])
os.environ["TEST_API_BASE_URL"] = BASE + own["base"]
os.chdir(root)
sys.path.insert(0, root)
run(root, own["paths"])
