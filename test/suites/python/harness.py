"""Runs the cases of one suite and says of each on a line of JSON whether it held."""

import asyncio
import inspect
import json
import os
import sys
import traceback

BASE = os.environ["SUITE_BASE"]
MODEL = os.environ["SUITE_MODEL"]

_cases = []


def case(function):
    _cases.append(function)
    return function


def run():
    for function in _cases:
        name = function.__name__.replace("_", " ")
        try:
            result = function()
            if inspect.isawaitable(result):
                asyncio.run(_await(result))
            print(json.dumps({"case": name, "ok": True}), flush=True)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
            print(json.dumps({"case": name, "ok": False, "reason": reason[:600]}), flush=True)
    sys.exit(0)


async def _await(result):
    return await result


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")
