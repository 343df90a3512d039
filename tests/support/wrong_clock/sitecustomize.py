"""Python imports this by itself when its folder is on PYTHONPATH: the process lives CLOCK_OFFSET_SECONDS from now."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

offset = timedelta(seconds=float(os.environ["CLOCK_OFFSET_SECONDS"]))
time_machine.travel(datetime.now(UTC) + offset, tick=True).start()
