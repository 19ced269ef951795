"""Runs somebody else's pytest tests and says of each on a line of JSON whether it held."""

import json
import os
import sys
import tempfile

import pytest


class Teller:
    """Says of each test what came of it."""

    def __init__(self):
        self.real_out = os.fdopen(os.dup(1), "w")
        # What pytest itself says would stand in the same lines.
        os.dup2(2, 1)

    def tell(self, name, **more):
        print(json.dumps({"case": name, **more}), file=self.real_out, flush=True)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("api_resources/")[-1]
        expected = hasattr(report, "wasxfail")
        if report.skipped and not expected:
            self.tell(name, ok=False, applies=False)
        elif report.failed:
            self.tell(name, ok=False, reason=last_words(report))
        elif report.when == "call":
            self.tell(name, ok=True)

    def pytest_collectreport(self, report):
        if report.failed:
            self.tell(report.nodeid, ok=False, reason=last_words(report))


def last_words(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(str(crash.message if crash else report.longrepr).split())[:600]


def run(root, paths, *plugins):
    """Ends the process. Async tests share one loop, as clients keep their connections from test to test."""
    settings = os.path.join(tempfile.mkdtemp(prefix="plansocket-suite-"), "pytest.ini")
    with open(settings, "w") as file:
        loops = "asyncio_default_test_loop_scope=session\nasyncio_default_fixture_loop_scope=session\n"
        file.write(f"[pytest]\nasyncio_mode=auto\n{loops}")
    flags = ["-q", "-p", "no:cacheprovider", "--tb=line", "-c", settings, "--rootdir", root]
    code = pytest.main([*flags, *paths], plugins=[Teller(), *plugins])
    # 1 says that tests failed, which has been told.
    sys.exit(0 if code in (0, 1) else int(code))
